"""Dates as people write them: each covers a stretch of time, "2024" the whole year.

`taken` is the camera's clock and has no time zone; `added` is UTC unless an offset is written.
"""

import re
from datetime import UTC, datetime, timedelta

from indexer.query.extent import Extent, Slip
from indexer.query.tree import Ago

_DATE = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[Tt ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(Z|z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_AGE = re.compile(r"(\d{1,5})(d|w|mo|y)", re.ASCII)
_DAYS = {"d": 1, "w": 7, "mo": 30, "y": 365}
_WORDS = {"today": 0, "yesterday": 1}
_MAX_DAYS = 100 * 365
_HOW = "write a date as 2024, 2024-05, 2024-05-17 or 2024-05-17T18:30, or today, yesterday, 7d, 2w, 3mo, 1y"


def is_age(written: str) -> bool:
    """Whether it counts back from today: "7d"."""
    return _AGE.fullmatch(written.casefold()) is not None


def read_taken(written: str) -> Extent:
    """A stretch of the camera's clock, naive."""
    return _read(written, zoned=False)


def read_added(written: str) -> Extent:
    """A stretch of UTC, aware."""
    return _read(written, zoned=True)


def _read(written: str, *, zoned: bool) -> Extent:
    if (age := _days(written.casefold())) is not None:
        return Extent(Ago(age), Ago(age - 1), high_open=True)
    match = _DATE.fullmatch(written)
    if match is None:
        raise Slip(f"{written!r} is not a date: {_HOW}")
    if match[8] and not zoned:
        raise Slip("The camera's clock has no time zone: leave the offset out")
    try:
        return _stretch(match, zoned=zoned)
    except (ValueError, OverflowError) as error:
        raise Slip(f"{written!r} is not in the calendar ({error}): {_HOW}") from error


def _days(written: str) -> int | None:
    if written in _WORDS:
        return _WORDS[written]
    match = _AGE.fullmatch(written)
    if match is None:
        return None
    days = int(match[1]) * _DAYS[match[2]]
    if days > _MAX_DAYS:
        raise Slip(f"{written} is more than a hundred years ago: write a date")
    return days


def _stretch(match: re.Match[str], *, zoned: bool) -> Extent:
    given = [int(group) for group in match.groups()[:6] if group is not None]
    if not 1 <= given[0] <= 9998:
        raise ValueError("years run from 0001 to 9998")
    start = datetime(*(given + [1, 1][len(given) - 1 :]))  # type: ignore[arg-type]
    if match[7]:
        start = start.replace(microsecond=int(match[7].ljust(6, "0")))
        end = start
    else:
        end = _next(start, len(given))
    low, high = (_aware(moment, match[8]) if zoned else moment for moment in (start, end))
    return Extent(low, high, high_open=not match[7])


def _next(start: datetime, precision: int) -> datetime:
    """The end of the year, month, day, hour's minute or second that starts here."""
    if precision == 1:
        return start.replace(year=start.year + 1)
    if precision == 2:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + {3: timedelta(days=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}[precision]


def _aware(moment: datetime, offset: str | None) -> datetime:
    if offset is None or offset in "Zz":
        return moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo).astimezone(UTC)


def instant(moment: datetime | Ago) -> str:
    """A spelling that covers this one moment."""
    if isinstance(moment, Ago):
        return _age(moment.days)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def starting(moment: datetime | Ago) -> str:
    """The shortest spelling of a stretch that starts here."""
    if isinstance(moment, Ago):
        return _age(moment.days)
    bare = moment.replace(tzinfo=None)
    for spelling in _spelled(bare):
        if _read(spelling, zoned=False).low == bare:
            return spelling
    return instant(moment)


def ending(moment: datetime | Ago) -> str | None:
    """The shortest spelling of a stretch that ends just before this moment, if there is one."""
    if isinstance(moment, Ago):
        return _age(moment.days + 1)
    bare = moment.replace(tzinfo=None)
    try:
        before = bare - timedelta(microseconds=1)
    except OverflowError:
        return None
    return next((s for s in _spelled(before) if _read(s, zoned=False).high == bare), None)


def _spelled(moment: datetime) -> list[str]:
    """Year, month, day, minute, second: coarsest first."""
    full = moment.isoformat(timespec="seconds")
    return [full[:length] for length in (4, 7, 10, 16, 19)]


def _age(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days}d")
