"""Ranges of a key's values: `640`, `>=2`, `<1.5`, `1..5`, `..5`, `1..<5`, `2024..2025`.

`a..b` has both ends in it; a date as an end is in it whole. `Between` and its text are exact twins.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import cast

from indexer.query import dates, numbers
from indexer.query.extent import Extent, Slip
from indexer.query.tree import Ago, Between, Bound, RangeKey

READERS: dict[RangeKey, Callable[[str], Extent]] = {
    "taken": dates.read_taken,
    "added": dates.read_added,
    "width": numbers.read_whole,
    "height": numbers.read_whole,
    "ratio": numbers.read_ratio,
    "size": numbers.read_size,
    "tagcount": numbers.read_whole,
    "id": numbers.read_whole,
}
_COMPARED = re.compile(r"(>=|<=|≥|≤|=>|=<|>|<|=)\s*(.*)", re.DOTALL)
_SAME = {"≥": ">=", "≤": "<=", "=>": ">=", "=<": "<="}
_WIDER, _TALLER = "landscape", "portrait"


def read_range(key: RangeKey, written: str) -> Between:
    """The range written after `key:`.

    Raises:
        Slip: what is wrong and what to write instead.
    """
    if key == "ratio" and written.casefold() in (_WIDER, _TALLER):
        wider = written.casefold() == _WIDER
        return Between(key, low=1.0, low_open=True) if wider else Between(key, high=1.0, high_open=True)
    low, dots, high = written.partition("..")
    if dots:
        return _between(key, low.strip(), high.strip())
    sign, value = _sign(written)
    if dates.is_age(value):
        return _since(key, sign, value)
    if key == "size" and not sign:
        raise Slip(
            f"No file has exactly {written}: ask for a range, for example size:>={written}",
            (f">={written}", f"<={written}"),
        )
    return compared(key, sign or "=", READERS[key](value))


def compared(key: RangeKey, sign: str, extent: Extent) -> Between:
    """All that is `sign` (>=, >, <, <=, =) what `extent` covers."""
    if sign == ">=":
        return Between(key, low=extent.low)
    if sign == ">":
        return Between(key, low=extent.high, low_open=not extent.high_open)
    if sign == "<":
        return Between(key, high=extent.low, high_open=True)
    if sign == "<=":
        return Between(key, high=extent.high, high_open=extent.high_open)
    return Between(key, extent.low, extent.high, high_open=extent.high_open)


def meeting(low: Between, high: Between) -> Between:
    """The range from one's low end to the other's high end.

    Raises:
        Slip: it runs backwards.
    """
    joined = replace(low, high=high.high, high_open=high.high_open)
    if _backwards(joined.low, joined.high):
        raise Slip("The range runs backwards: put the smaller end first")
    return joined


def _sign(written: str) -> tuple[str, str]:
    match = _COMPARED.fullmatch(written)
    return (_SAME.get(match[1], match[1]), match[2]) if match else ("", written)


def _since(key: RangeKey, sign: str, value: str) -> Between:
    if key not in ("taken", "added"):
        raise Slip(f"{value!r} is an age: only taken: and added: have one")
    if sign:
        raise Slip(
            f"{sign}{value} can be read two ways: write {value} for the last {value}, ..{value} for before that",
            (value, f"..{value}"),
        )
    return Between(key, low=READERS[key](value).low)


def _between(key: RangeKey, low: str, high: str) -> Between:
    """`*` is an open end, as on GitHub."""
    start = _end(key, low, ">=", (">", ">=")) if low not in ("", "*") else Between(key)
    end = _end(key, high, "<=", ("<", "<=")) if high not in ("", "*") else Between(key)
    try:
        return meeting(start, end)
    except Slip as slip:
        raise Slip(str(slip), (f"{high}..{low}",)) from slip


def _end(key: RangeKey, written: str, otherwise: str, allowed: tuple[str, str]) -> Between:
    sign, value = _sign(written)
    if sign and sign not in allowed:
        raise Slip(f"{written!r} cannot be this end of a range: write a..b, a.. or ..b")
    return compared(key, sign or otherwise, READERS[key](value))


def _backwards(low: Bound, high: Bound) -> bool:
    if isinstance(low, Ago) and isinstance(high, Ago):
        return low.days < high.days
    if isinstance(low, datetime) and isinstance(high, datetime):
        return low > high
    number = isinstance(low, int | float) and isinstance(high, int | float)
    return number and cast(float, low) > cast(float, high)


def write_range(between: Between) -> str:
    """The canonical spelling, which reads back as the same range."""
    if between.key in ("taken", "added"):
        return _write_dates(between)
    low, high = (_number(between.key, bound) for bound in (between.low, between.high))
    below, above = ">" * between.low_open, "<" * between.high_open
    if low and high:
        if between.low == between.high and not (below or above):
            return f"={low}" if between.key == "size" else low
        return f"{below}{low}..{above}{high}"
    if low:
        return f"{below or '>='}{low}"
    return f"{above or '<='}{high}" if high else ".."


def _number(key: RangeKey, bound: Bound) -> str:
    if bound is None:
        return ""
    if key == "ratio":
        return numbers.write_ratio(cast(float, bound))
    return numbers.write_size(cast(int, bound)) if key == "size" else str(bound)


def _write_dates(between: Between) -> str:
    low, high = cast(datetime | Ago | None, between.low), cast(datetime | Ago | None, between.high)
    if low is None and high is None:
        return ".."
    if high is None:
        return _write_since(cast(datetime | Ago, low), open_=between.low_open)
    end = dates.ending(high) if between.high_open else dates.instant(high)
    if low is None:
        if isinstance(high, Ago):
            return f"..{end}"
        return f"<{dates.starting(high)}" if between.high_open else f"<={end}"
    start = f">{dates.instant(low)}" if between.low_open else dates.starting(low)
    single = _single(between)
    return single or f"{start}..{end or '<' + dates.starting(high)}"


def _write_since(low: datetime | Ago, *, open_: bool) -> str:
    if open_:
        return f">{dates.instant(low)}"
    start = dates.starting(low)
    return start if dates.is_age(start) else f">={start}"


def _single(between: Between) -> str | None:
    """The one date that covers exactly this range, if there is one."""
    if between.low_open:
        return None
    low, high = cast(datetime | Ago, between.low), cast(datetime | Ago, between.high)
    for spelling in (dates.ending(high), dates.instant(low)):
        if spelling and not dates.is_age(spelling) and read_range(between.key, spelling) == between:
            return spelling
    return None
