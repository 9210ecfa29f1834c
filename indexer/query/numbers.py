"""Numbers as people write them: whole ones, sizes of files, ratios of sides, confidences."""

import math
import re
from decimal import Decimal
from fractions import Fraction

from indexer.query.extent import Extent, Slip

_NUMBER = r"(\d{1,40}(?:\.\d{1,40})?|\.\d{1,40})"
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_SIZE = re.compile(rf"{_NUMBER} ?([kmgt]i?b?|b|)", re.ASCII | re.IGNORECASE)
_RATIO = re.compile(rf"{_NUMBER}(?:[:/x]{_NUMBER})?", re.ASCII)
_EXACT = re.compile(rf"(?:{_NUMBER}|\d(?:\.\d+)?e[+-]\d{{1,3}})", re.ASCII)
_CONFIDENCE = re.compile(rf"{_NUMBER}(e-\d{{1,3}})?(%?)", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
MAX_WHOLE = 2**63 - 1
# Beyond it nothing else would be heard.
MAX_WEIGHT = 1_000


def read_whole(written: str) -> Extent:
    """A whole number from 0 on."""
    if not _WHOLE.fullmatch(written):
        raise Slip(f"{written!r} is not a whole number")
    return Extent(int(written), int(written))


def read_size(written: str) -> Extent:
    """Bytes: 2MB is two million, 2MiB 2 x 1024 x 1024."""
    match = _SIZE.fullmatch(written)
    if match is None:
        raise Slip(f"{written!r} is not a size: write it as 500KB, 2MB or 1.5GB")
    unit = match[2].lower()
    value = int(Decimal(match[1]) * (1024 if "i" in unit else 1000) ** _POWERS[unit.rstrip("b").rstrip("i")])
    if value > MAX_WHOLE:
        raise Slip(f"{written} is larger than any file")
    return Extent(value, value)


def write_size(value: int) -> str:
    """The shortest of the spellings that mean exactly this many bytes."""
    spellings = [str(value)]
    for letter, power in _POWERS.items():
        if not power:
            continue
        for base, unit in ((1000, f"{letter.upper()}B"), (1024, f"{letter.upper()}iB")):
            if value >= base**power and value * 100 % base**power == 0:
                spellings.append(f"{(Decimal(value) / base**power).normalize():f}{unit}")
    return min(spellings, key=len)


def read_ratio(written: str) -> Extent:
    """Width to height: 1.5, 3:2, 3/2, 3x2 or square."""
    if written.casefold() == "square":
        return Extent(1.0, 1.0)
    match = _RATIO.fullmatch(written)
    if match is None and not _EXACT.fullmatch(written):
        raise Slip(f"{written!r} is not a ratio: write it as 16:9, 1.5, landscape, portrait or square")
    below = float(match[2]) if match and match[2] else 1.0
    value = float(match[1] if match else written) / below if below else 0.0
    if not 0 < value < math.inf:
        raise Slip(f"{written} is no ratio of two sides: both are more than zero")
    return Extent(value, value)


def write_ratio(value: float) -> str:
    """As a decimal if that is short, else as two whole numbers if they mean exactly this."""
    decimal = write_number(value)
    fraction = Fraction(value).limit_denominator(100)
    if (
        len(decimal) > 4
        and 0 < fraction.numerator <= 10_000
        and fraction.numerator / fraction.denominator == value
    ):
        return f"{fraction.numerator}:{fraction.denominator}"
    return decimal


def read_confidence(written: str) -> float:
    """0.8 or 80%, from 0 to 1."""
    match = _CONFIDENCE.fullmatch(written)
    if match is None:
        raise Slip(f"{written!r} is not a confidence: write it as 0.8 or 80%")
    value = float(match[1] + (match[2] or "")) / (100 if match[3] else 1)
    if value > 1:
        raise Slip(f"A confidence is at most 1: write {written} as 0.8 or as 80%")
    return value


def write_number(value: float) -> str:
    """The shortest decimal that reads back as this number."""
    return repr(float(value)).removesuffix(".0")
