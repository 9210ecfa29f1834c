"""What a file says about itself: EXIF, IPTC and XMP -> date, title, description, place, keywords.

Where several say the same, the first of these that is not empty wins:
    taken_at      EXIF DateTimeOriginal, XMP exif:DateTimeOriginal, XMP photoshop:DateCreated, IPTC date
                  created, EXIF DateTimeDigitized, XMP xmp:CreateDate
    title         XMP dc:title, IPTC 2:05, EXIF XPTitle
    description   XMP dc:description, IPTC 2:120, EXIF ImageDescription, EXIF XPComment, EXIF XPSubject
    place         XMP (sublocation, city, state, country), IPTC 2:92, 2:90, 2:95, 2:101
    position      EXIF GPS, XMP exif:GPSLatitude and exif:GPSLongitude
Keywords are the union, in this order, of XMP dc:subject, lr:hierarchicalSubject and digiKam:TagsList
(every level of a path), IPTC 2:25 and EXIF XPKeywords; spellings that differ only in case are one.

Written by strangers: nothing here fails an image. What cannot be read is logged
at debug level and left empty.
"""

import logging
import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

from PIL import Image
from PIL.ExifTags import IFD, Base

from indexer.metadata_blocks import (
    ExifBlock,
    IptcBlock,
    XmpBlock,
    iptc_bytes,
    legacy_text,
    read_exif,
    read_exif_directory,
    read_iptc,
    read_xmp,
    windows_text,
    xmp_packet,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")
Position = tuple[float | None, float | None]

MAX_TITLE, MAX_DESCRIPTION, MAX_PLACE = 500, 10_000, 300
MAX_KEYWORD, MAX_KEYWORDS = 100, 500
_XMP_TAKEN = ("exif:DateTimeOriginal", "photoshop:DateCreated")
_IPTC_TITLE, _IPTC_KEYWORDS, _IPTC_DAY, _IPTC_TIME, _IPTC_CAPTION = 5, 25, 55, 60, 120
_PLACES = (
    ("Iptc4xmpCore:Location", 92),
    ("photoshop:City", 90),
    ("photoshop:State", 95),
    ("photoshop:Country", 101),
)
# Control, format, surrogate, private and unassigned characters: none of them is text to search for.
_DROPPED = frozenset({"Cc", "Cs", "Co", "Cn"})
# Cameras that fill the description with themselves.
_CAMERA_TALK = re.compile(
    r"\s*(olympus digital camera|sony dsc|konica minolta digital camera|kodak digital still camera|"
    r"minolta digital camera|samsung(?: digital camera| camera pictures)?|dcim[\\/].*|digital ?camera|"
    r"<?untitled>?|default|exif_jpeg[_ ]picture|exif jpeg)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Metadata:
    """What the file says of itself; every text free of control characters and of bounded length.

    `taken_at` carries a timezone only if the file gives an offset; otherwise it is local time wherever the
    camera was. `latitude` and `longitude` are degrees, north and east positive, both set or both None.
    """

    taken_at: datetime | None = None
    title: str | None = None
    description: str | None = None
    place: str | None = None
    keywords: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class _Blocks:
    """A file's metadata blocks as plain values: EXIF by tag, IPTC by data set, XMP by prefixed name."""

    exif: ExifBlock
    gps: ExifBlock
    iptc: IptcBlock
    xmp: XmpBlock


def read_metadata(image: Image.Image) -> Metadata:
    """`image` as opened from a file and loaded (PNG keeps some text after the pixels). Raises nothing."""
    nothing: ExifBlock = {}
    main = _tolerated("EXIF", lambda: read_exif(image), nothing)
    photo = _tolerated("EXIF photo", lambda: read_exif_directory(image, IFD.Exif), nothing)
    blocks = _Blocks(
        exif={**main, **photo},
        gps=_tolerated("EXIF GPS", lambda: read_exif_directory(image, IFD.GPSInfo), nothing),
        iptc=_tolerated("IPTC", lambda: read_iptc(iptc_bytes(image)), {}),
        xmp=_tolerated("XMP", lambda: read_xmp(xmp_packet(image)), {}),
    )
    nowhere: Position = (None, None)
    latitude, longitude = _tolerated("position", lambda: _position(blocks), nowhere)
    return Metadata(
        taken_at=_tolerated("date", lambda: _taken_at(blocks), None),
        title=_tolerated("title", lambda: _title(blocks), None),
        description=_tolerated("description", lambda: _description(blocks), None),
        place=_tolerated("place", lambda: _place(blocks), None),
        keywords=_tolerated("keywords", lambda: _keywords(blocks), ()),
        latitude=latitude,
        longitude=longitude,
    )


def _tolerated(what: str, read: Callable[[], T], otherwise: T) -> T:
    """`read()`, or `otherwise` where a stranger's bytes defeat it."""
    try:
        return read()
    except MemoryError:
        raise
    except Exception as error:
        logger.debug("%s metadata not read: %r", what, error)
        return otherwise


def _title(blocks: _Blocks) -> str | None:
    return _first_text(
        MAX_TITLE,
        blocks.xmp.get("dc:title"),
        blocks.iptc.get(_IPTC_TITLE),
        [windows_text(blocks.exif.get(Base.XPTitle))],
    )


def _description(blocks: _Blocks) -> str | None:
    return _first_text(
        MAX_DESCRIPTION,
        blocks.xmp.get("dc:description"),
        blocks.iptc.get(_IPTC_CAPTION),
        [legacy_text(blocks.exif.get(Base.ImageDescription))],
        [windows_text(blocks.exif.get(Base.XPComment))],
        [windows_text(blocks.exif.get(Base.XPSubject))],
        reject=_CAMERA_TALK,
    )


def _place(blocks: _Blocks) -> str | None:
    """Sublocation, city, state and country, each from XMP or else IPTC, joined by commas."""
    parts = [
        _first_text(MAX_PLACE, blocks.xmp.get(name), blocks.iptc.get(number)) for name, number in _PLACES
    ]
    present = dict.fromkeys(part for part in parts if part)
    return ", ".join(present)[:MAX_PLACE] or None


def _keywords(blocks: _Blocks) -> tuple[str, ...]:
    """The union of every keyword field, in order of first appearance, at most MAX_KEYWORDS."""
    paths = [
        *(level for path in blocks.xmp.get("lr:hierarchicalSubject", ()) for level in path.split("|")),
        *(level for path in blocks.xmp.get("digiKam:TagsList", ()) for level in path.split("/")),
    ]
    plain = [*blocks.xmp.get("dc:subject", ()), *paths, *blocks.iptc.get(_IPTC_KEYWORDS, ())]
    written = [*plain, windows_text(blocks.exif.get(Base.XPKeywords))]
    found: dict[str, str] = {}
    # Windows and several exporters put a whole list, parted by semicolons, into one keyword.
    for word in (part for text in written for part in text.split(";")):
        keyword = clean_text(word, MAX_KEYWORD)
        if keyword:
            found.setdefault(keyword.casefold(), keyword)
        if len(found) == MAX_KEYWORDS:
            break
    return tuple(found.values())


def _taken_at(blocks: _Blocks) -> datetime | None:
    """The first date that reads as one; years before photography or after tomorrow are clock faults."""
    exif, iptc = blocks.exif, blocks.iptc
    candidates = (
        _exif_date(exif.get(Base.DateTimeOriginal), exif.get(Base.OffsetTimeOriginal)),
        *(_iso_date(text) for name in _XMP_TAKEN for text in blocks.xmp.get(name, ())),
        *(_iptc_date(text, next(iter(iptc.get(_IPTC_TIME, ())), "")) for text in iptc.get(_IPTC_DAY, ())),
        _exif_date(exif.get(Base.DateTimeDigitized), exif.get(Base.OffsetTimeDigitized)),
        *(_iso_date(text) for text in blocks.xmp.get("xmp:CreateDate", ())),
    )
    latest = datetime.now(UTC).year + 1
    return next((date for date in candidates if date is not None and 1826 <= date.year <= latest), None)


def _exif_date(value: object, offset: object) -> datetime | None:
    """`2024:05:01 12:30:00` with `+02:00` apart."""
    text = legacy_text(value)
    match = re.match(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?", text)
    if match is None:
        return None
    return _date([int(group or 0) for group in match.groups()], _zone(legacy_text(offset)))


def _iso_date(text: str) -> datetime | None:
    """XMP's dates: a year, month, day or moment, with or without an offset."""
    match = re.match(
        r"\s*(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(.*))?)?)?", text
    )
    if match is None:
        return None
    year, month, day, hour, minute, second, offset = match.groups()
    numbers = [int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)]
    return _date(numbers, _zone(offset or ""))


def _iptc_date(day: str, clock: str) -> datetime | None:
    """`20240501` and `123000+0200`."""
    date = re.match(r"(\d{4})(\d\d)(\d\d)$", day.strip())
    if date is None:
        return None
    moment = re.match(r"(\d\d)(\d\d)(\d\d)", clock)
    numbers = [int(group) for group in (*date.groups(), *(moment.groups() if moment else ("0", "0", "0")))]
    return _date(numbers, _zone(clock[6:]))


def _date(numbers: list[int], zone: timezone | None) -> datetime | None:
    """None for the 30th of February and the like."""
    try:
        return datetime(*numbers, tzinfo=zone)  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def _zone(text: str) -> timezone | None:
    """`Z`, `+02:00` or `-0530`; None where there is no offset or it is not one."""
    if text.strip() == "Z":
        return UTC
    match = re.match(r"\s*([+-])(\d\d):?(\d\d)", text)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes)) if minutes < 1440 else None


def _position(blocks: _Blocks) -> Position:
    """Degrees; (None, None) if either is missing, out of range, or both are 0 (a receiver without a fix)."""
    gps, xmp = blocks.gps, blocks.xmp
    latitude = _exif_degrees(gps.get(2), gps.get(1)) if gps else None
    longitude = _exif_degrees(gps.get(4), gps.get(3)) if gps else None
    if latitude is None or longitude is None:
        latitude = _xmp_degrees(next(iter(xmp.get("exif:GPSLatitude", ())), ""))
        longitude = _xmp_degrees(next(iter(xmp.get("exif:GPSLongitude", ())), ""))
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None, None
    # Also false for NaN, which rationals of 0/0 become.
    plausible = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if plausible else (None, None)


def _exif_degrees(value: object, reference: object) -> float | None:
    """Degrees, minutes and seconds as rationals, with N, S, E or W apart."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    degrees = sum(float(part) / 60**power for power, part in enumerate(value))
    sign = -1 if legacy_text(reference).strip().upper() in ("S", "W") else 1
    return round(sign * degrees, 7) if math.isfinite(degrees) else None


def _xmp_degrees(text: str) -> float | None:
    """`48,51,30N` or `48,51.5N`."""
    match = re.match(
        r"\s*(\d{1,3})[,.](\d{1,2}(?:\.\d{1,12})?)(?:,(\d{1,2}(?:\.\d{1,12})?))?\s*([NSEW])", text
    )
    if match is None:
        return None
    degrees = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
    return round(-degrees if match[4] in "SW" else degrees, 7)


def clean_text(text: str, longest: int) -> str:
    """One line of printable text: no control, private or unpaired characters, at most `longest` long."""
    # Bounded first: normalising a megabyte of combining characters is slow.
    text = unicodedata.normalize("NFC", text[: 4 * longest])
    kept = "".join(" " if unicodedata.category(c) in _DROPPED else c for c in text)
    return " ".join(kept.split())[:longest].strip()


def _first_text(
    longest: int, *lists: Iterable[str] | None, reject: re.Pattern[str] | None = None
) -> str | None:
    """The first text that is not empty once cleaned."""
    for text in (text for texts in lists for text in texts or ()):
        cleaned = clean_text(text, longest)
        if cleaned and not (reject and reject.fullmatch(cleaned)):
            return cleaned
    return None
