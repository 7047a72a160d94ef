"""Kubernetes quantities (``4Gi``, ``500m``, ``1.5G``, ``1e3``), read exactly.

*Source*: the grammar in the Kubernetes API reference, ``resource.Quantity``. Sizes are bytes; nothing goes through a
binary float, so ``0.1Gi`` is the same number here and in a cluster.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
}
_SUFFIXES = {**_DECIMAL, **{suffix: Fraction(factor) for suffix, factor in _BINARY.items()}}
_LARGEST = Fraction((1 << 63) - 1)
_NANO = 10**9
_MAX_CHARACTERS = 64
_MAX_EXPONENT = 100

_FORM = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[A-Za-z]*))",
    re.ASCII,
)


def parse_quantity(text: str | int | float) -> Fraction:
    """The exact value of a quantity as it stands in a manifest.

    A fraction finer than a billionth is rounded away from zero, and a magnitude above 2^63-1 is capped, as a
    Kubernetes API server does.

    Raises:
        ValueError: the text is no quantity; the message says why, without naming a field.
    """
    if isinstance(text, bool):
        raise ValueError(f"{str(text).lower()} is not a quantity")
    if isinstance(text, int):
        return _capped(Fraction(text))
    return _parse(repr(text) if isinstance(text, float) else text)


@lru_cache(maxsize=4096)
def _parse(written: str) -> Fraction:
    """A manifest repeats the same few sizes, so each is read once."""
    match = _FORM.fullmatch(written) if len(written) <= _MAX_CHARACTERS else None
    if match is None:
        raise ValueError(f"{written[:_MAX_CHARACTERS]!r} is not a quantity: write a number and a unit, such as 4Gi")
    value = Fraction(match["number"].rstrip(".")) * _factor(written, match)
    scaled = value * _NANO
    value = Fraction(-(-scaled.numerator // scaled.denominator), _NANO)
    return _capped(-value if match["sign"] == "-" else value)


def _factor(written: str, match: re.Match[str]) -> Fraction:
    """What the suffix or exponent of a quantity multiplies by."""
    if match["exponent"] is not None:
        exponent = int(match["exponent"])
        if abs(exponent) > _MAX_EXPONENT:
            raise ValueError(f"{written!r} is not a quantity: its exponent is out of range")
        return Fraction(10) ** exponent
    suffix = match["suffix"]
    factor = _SUFFIXES.get(suffix)
    if factor is None:
        better = _nearest_suffix(suffix)
        advice = f"did you mean {match['number']}{better}?" if better else "units are m k M G T P E, Ki Mi Gi Ti Pi Ei"
        raise ValueError(f"{written!r} is not a quantity: its unit is {suffix!r}; {advice}")
    return factor


def _nearest_suffix(suffix: str) -> str | None:
    """The unit that was probably meant: ``GB`` → ``G``, ``gi`` → ``Gi``, ``K`` → ``k``; None when unclear."""
    bare = suffix.removesuffix("B").removesuffix("b")
    return next((known for known in _SUFFIXES if known and known.lower() == bare.lower()), None)


def _capped(value: Fraction) -> Fraction:
    return max(-_LARGEST, min(_LARGEST, value))


def bytes_of(text: str | int | float) -> int:
    """A size in whole bytes, rounded up.

    Raises:
        ValueError: the text is no quantity.
    """
    value = parse_quantity(text)
    return -(-value.numerator // value.denominator)


def mib_of(text: str | int | float) -> int:
    """A size in whole MiB, rounded up.

    Raises:
        ValueError: the text is no quantity.
    """
    return -(-bytes_of(text) // MIB)


def format_bytes(size_bytes: int) -> str:
    """A size as a quantity with the largest binary unit that keeps it exact: 4294967296 → ``4Gi``, 1000 → ``1000``."""
    if size_bytes:
        for suffix, factor in reversed(_BINARY.items()):
            if size_bytes % factor == 0:
                return f"{size_bytes // factor}{suffix}"
    return str(size_bytes)
