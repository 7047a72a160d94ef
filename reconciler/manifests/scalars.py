"""How kubectl reads a YAML scalar.

kubectl turns YAML into JSON with a YAML 1.1 reader (``yes`` is true, ``0777`` is 511) that knows neither base-60 numbers
nor dates, then reads that JSON. Each rule here is one of the two steps; the table test holds them against kubectl's
own answers.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from decimal import Decimal
from typing import Final

Scalar = str | int | float | bool | None

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_NULL = ("", "~", "null", "Null", "NULL")
_NOT_JSON = (".nan", ".NaN", ".NAN", *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")))
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(_NULL, None),
}
_SPECIAL_STARTS = frozenset("0123456789+-.~yYnNtTfFoO")
_NUMBER_STARTS = frozenset("0123456789+-")

_INTEGER = re.compile(r"([+-]?)(?:0[bB]([01]+)|0[oO]([0-7]+)|0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))", re.ASCII)
_BASES = (2, 8, 16, 8, 10)
_FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_POINT_FLOAT = re.compile(r"\.[0-9](?:_?[0-9])*(?:[eE][+-]?[0-9](?:_?[0-9])*)?", re.ASCII)
_SIGNED_BINARY = re.compile(r"0b([+-][01]+)", re.ASCII)

_INT64_MIN, _INT64_MAX, _UINT64_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
_LONGEST_NUMBER = 4_000
_CORE = "tag:yaml.org,2002:"


def read_plain(text: str) -> Scalar:
    """The value of an unquoted, untagged scalar.

    Raises:
        ValueError: an infinity or not-a-number, which JSON cannot hold.
    """
    if text and text[0] not in _SPECIAL_STARTS:
        return text
    return _as_json(_yaml_value(text))


def read_plain_key(text: str) -> str:
    """The string that an unquoted, untagged mapping key becomes: ``yes`` → ``true``, ``0777`` → ``511``.

    Raises:
        ValueError: null and numbers that kubectl refuses as keys.
    """
    if text and text[0] not in _SPECIAL_STARTS:
        return text
    return key_text(_yaml_value(text))


def _yaml_value(text: str) -> Scalar:
    """What the YAML reader makes of a plain scalar, before JSON."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOT_JSON:
        raise ValueError(f"{text} cannot be written as JSON, so kubectl refuses it")
    if text[0] in _NUMBER_STARTS:
        return _read_number(text)
    if text[0] == "." and _POINT_FLOAT.fullmatch(text):
        return _finite(float(text), text)
    return text


def _read_number(text: str) -> Scalar:
    """A scalar that begins like a number: the number, or the text itself when it is none."""
    plain = text.replace("_", "")
    if len(plain) > _LONGEST_NUMBER:
        return text
    if match := _INTEGER.fullmatch(plain):
        found = ((base, digits) for base, digits in zip(_BASES, match.groups()[1:], strict=True) if digits is not None)
        base, digits = next(found)
        value = int(digits or "0", base) * (-1 if match[1] == "-" else 1)
        if _INT64_MIN <= value <= (_INT64_MAX if match[1] else _UINT64_MAX):
            return value
    if _FLOAT.fullmatch(plain):
        return _finite(float(plain), text)
    if match := _SIGNED_BINARY.fullmatch(plain):
        value = int(match[1], 2)
        if _INT64_MIN <= value <= _INT64_MAX:
            return value
    return text


def _finite(value: float, text: str) -> float | str:
    """A number out of the range of a double was never a number."""
    return value if math.isfinite(value) else text


def _as_json(value: Scalar) -> Scalar:
    """A value as it arrives after JSON: whole floats are integers, integers beyond 64 bits signed are floats."""
    if isinstance(value, float) and value.is_integer():
        whole = int(Decimal(repr(value)))
        return whole if _INT64_MIN <= whole <= _INT64_MAX else value
    if isinstance(value, int) and value > _INT64_MAX:
        return float(value)
    return value


def read_tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit core tag, such as ``!!str 0777``.

    Raises:
        ValueError: the tag is unknown or the text does not fit it.
    """
    if tag == "!":
        return text
    name = tag.removeprefix(_CORE)
    if name == tag or name not in ("str", "binary", "int", "float", "bool", "null", "timestamp"):
        # Never the tag itself: a password that begins with ! reads as one.
        raise ValueError("there is a tag that is not one of YAML's core tags")
    if name in ("str", "timestamp"):
        return text
    if name == "binary":
        try:
            return base64.b64decode(re.sub(r"\s", "", text), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("a !!binary value must be base64 of UTF-8 text") from None
    value = _yaml_value(text)
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "null": value is None,
    }
    if not fits[name]:
        raise ValueError(f"the value does not fit its tag !!{name}")
    return _as_json(value)


def key_text(value: Scalar) -> str:
    """The string that a mapping key of this value becomes.

    Raises:
        ValueError: null, and integers beyond 64 bits signed, cannot be keys.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (isinstance(value, int) and not _INT64_MIN <= value <= _INT64_MAX):
        raise ValueError(f"{'null' if value is None else value} cannot be a key")
    return str(value) if isinstance(value, int) else _float_key(value)


def _float_key(value: float) -> str:
    """A fractional key in the fewest digits that tell 32-bit floats apart, which is how kubectl writes it."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        raise ValueError(f"{value} cannot be a key") from None
    forms = (f"{value:.{count}e}" for count in range(9))
    shortest = next(form for form in forms if struct.pack("<f", float(form)) == packed)
    mantissa, _, exponent = shortest.partition("e")
    if -4 <= int(exponent) < 6:
        places = max(0, len(mantissa.lstrip("-").replace(".", "")) - 1 - int(exponent))
        return f"{float(shortest):.{places}f}"
    return shortest
