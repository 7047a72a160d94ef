"""Kubernetes quantities are read exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest

from reconciler.model.quantity import bytes_of, format_bytes, mib_of, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4Gi", Fraction(4 << 30)),
        ("500m", Fraction(1, 2)),
        ("1.5G", Fraction(1_500_000_000)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("12E", Fraction((1 << 63) - 1)),
        ("0.1Gi", Fraction(1 << 30, 10)),
        (".5Mi", Fraction(1 << 19)),
        ("1.", Fraction(1)),
        ("-3k", Fraction(-3000)),
        ("+2", Fraction(2)),
        (7, Fraction(7)),
        (1.5, Fraction(3, 2)),
        (1e21, Fraction((1 << 63) - 1)),
        ("0.1n", Fraction(1, 10**9)),
        ("-0.1n", Fraction(-1, 10**9)),
    ],
)
def test_values(text: str | int | float, value: Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("4GB", "did you mean 4G?"),
        ("4gi", "did you mean 4Gi?"),
        ("1K", "did you mean 1k?"),
        ("4x", "units are"),
        ("", "write a number and a unit"),
        ("4 Gi", "write a number and a unit"),
        ("1e999", "exponent is out of range"),
        ("٤Gi", "write a number and a unit"),
        ("1" * 100, "write a number and a unit"),
        (True, "true is not a quantity"),
    ],
)
def test_what_is_no_quantity_says_what_would_be(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match="quantity") as caught:
        parse_quantity(text)
    assert advice in str(caught.value)


def test_sizes_round_up() -> None:
    assert bytes_of("0.1Gi") == 107_374_183
    assert bytes_of("500m") == 1
    assert mib_of("1G") == 954
    assert mib_of("4Gi") == 4096


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0"), (1000, "1000"), (1024, "1Ki"), (4 << 30, "4Gi"), (1536 << 20, "1536Mi"), (1 << 60, "1Ei")],
)
def test_formatting_keeps_the_size_exact(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text
    assert bytes_of(text) == size_bytes
