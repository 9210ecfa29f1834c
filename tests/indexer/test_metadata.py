"""What files say about themselves is read from every block, and no block can do harm."""

import io
import logging
import struct
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from indexer import metadata
from indexer.images import Limits, decode
from indexer.metadata import Metadata, clean_text
from indexer.metadata_blocks import read_iptc, read_xmp
from tests.pictures import encoded, odd_folder

PICTURE = Image.new("RGB", (8, 8), "red")
NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/" '
    'xmlns:digiKam="http://www.digikam.org/ns/1.0/" '
    'xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"'
)
CEST = timezone(timedelta(hours=2))


def xmp(properties: str = "", attributes: str = "") -> bytes:
    """A packet as editors write it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>{properties}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def bag(name: str, *items: str) -> str:
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Bag></{name}>"


def iptc(*sets: tuple[int, bytes], charset: bytes | None = None) -> bytes:
    """IPTC-IIM data sets of record 2, with an optional character set marker."""
    marker = [b"\x1c\x01\x5a" + struct.pack(">H", len(charset)) + charset] if charset else []
    body = [b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value for number, value in sets]
    return b"".join([*marker, *body])


def jpeg(*, packet: bytes = b"", exif: bytes = b"", iptc_block: bytes = b"") -> bytes:
    options: dict[str, Any] = {"xmp": packet} if packet else {}
    if exif:
        options["exif"] = exif
    data = encoded(PICTURE, "JPEG", **options)
    if not iptc_block:
        return data
    block = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(iptc_block)) + iptc_block
    block += b"\x00" * (len(iptc_block) % 2)
    segment = b"Photoshop 3.0\x00" + block
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def read(data: bytes) -> Metadata:
    return decode(data, [], Limits()).metadata


def exif_with(**directories: Mapping[int, object]) -> bytes:
    """EXIF with tags in the `main`, `photo` and `gps` directories."""
    exif = Image.Exif()
    exif.update(directories.get("main", {}))
    for name, pointer in (("photo", 0x8769), ("gps", 0x8825)):
        if name in directories:
            exif.get_ifd(pointer).update(directories[name])
    return exif.tobytes()


def test_a_file_that_says_nothing() -> None:
    """No block, no field."""
    assert read(jpeg()) == Metadata()


@pytest.mark.parametrize(
    ("offset", "zone"), [("+02:00", CEST), ("", None), ("Z", UTC), ("nonsense", None), ("+99:00", None)]
)
def test_exif_date_with_and_without_offset(offset: str, zone: timezone | None) -> None:
    """The moment of the shot, with a zone only if the camera wrote one."""
    exif = exif_with(photo={36867: "2024:05:01 12:30:15", 36881: offset})
    assert read(jpeg(exif=exif)).taken_at == datetime(2024, 5, 1, 12, 30, 15, tzinfo=zone)


@pytest.mark.parametrize(
    "text",
    ["0000:00:00 00:00:00", "2024:02:30 10:00:00", "    :  :     :  :  ", "soon", "1700:01:01 00:00:00", ""],
)
def test_dates_that_are_none(text: str) -> None:
    """Clock faults and blanks leave the date empty."""
    assert read(jpeg(exif=exif_with(photo={36867: text}))).taken_at is None


def test_dates_in_order_of_trust() -> None:
    """DateTimeOriginal, then XMP's shot dates, then IPTC's, then when it was digitised or created."""
    original = {36867: "2001:01:01 00:00:00"}
    digitised = {36868: "2004:01:01 00:00:00"}
    shot = xmp(attributes='photoshop:DateCreated="2002-01-01"')
    created = xmp(attributes='xmp:CreateDate="2005-01-01T10:00:00+02:00"')
    day = iptc((55, b"20030101"), (60, b"101112+0200"))
    assert read(jpeg(exif=exif_with(photo=original | digitised), packet=shot)).taken_at == datetime(
        2001, 1, 1
    )
    assert read(jpeg(exif=exif_with(photo=digitised), packet=shot)).taken_at == datetime(2002, 1, 1)
    found = read(jpeg(exif=exif_with(photo=digitised), packet=created, iptc_block=day)).taken_at
    assert found == datetime(2003, 1, 1, 10, 11, 12, tzinfo=CEST)
    assert read(jpeg(exif=exif_with(photo=digitised), packet=created)).taken_at == datetime(2004, 1, 1)
    assert read(jpeg(packet=created)).taken_at == datetime(2005, 1, 1, 10, tzinfo=CEST)


@pytest.mark.parametrize(
    ("latitude", "longitude", "wanted"),
    [
        (("N", (48.0, 51.0, 30.0)), ("E", (2.0, 21.0, 0.0)), (48.8583333, 2.35)),
        (("S", (33.0, 51.5, 0.0)), ("W", (70.0, 0.0, 36.0)), (-33.8583333, -70.01)),
        (("N", (0.0, 0.0, 0.0)), ("E", (0.0, 0.0, 0.0)), (None, None)),
        (("N", (95.0, 0.0, 0.0)), ("E", (2.0, 0.0, 0.0)), (None, None)),
    ],
)
def test_gps_to_signed_degrees(
    latitude: tuple[str, tuple[float, ...]],
    longitude: tuple[str, tuple[float, ...]],
    wanted: tuple[float | None, float | None],
) -> None:
    """Degrees, minutes and seconds with hemispheres; no fix and impossible values are no position."""
    gps = {1: latitude[0], 2: latitude[1], 3: longitude[0], 4: longitude[1]}
    found = read(jpeg(exif=exif_with(gps=gps)))
    assert (found.latitude, found.longitude) == pytest.approx(wanted)


def test_gps_rationals_of_zero_by_zero() -> None:
    """A receiver without a fix writes 0/0, which is not a number and not a position."""
    zero = TiffImagePlugin.IFDRational(0, 0)
    gps = {1: "N", 2: (zero, zero, zero), 3: "E", 4: (zero, zero, zero)}
    found = read(jpeg(exif=exif_with(gps=gps)))
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize(
    ("written", "degrees"),
    [("48,51,30N", 48.8583333), ("48,51.5S", -48.8583333), ("48.51N", None), ("x", None)],
)
def test_gps_from_xmp(written: str, degrees: float | None) -> None:
    """XMP's own notation of a position."""
    packet = xmp(attributes=f'exif:GPSLatitude="{written}" exif:GPSLongitude="2,21.0W"')
    found = read(jpeg(packet=packet))
    if written == "48.51N":  # a point for a comma: degrees and whole minutes, as some writers mean it
        degrees = 48.85
    assert found.latitude == (pytest.approx(degrees) if degrees else None)
    assert found.longitude == (pytest.approx(-2.35) if degrees else None)


def test_keywords_are_a_union() -> None:
    """No field shadows another; every level of a path counts; letter case does not make two."""
    packet = xmp(
        bag("dc:subject", "dog", "Snow")
        + bag("lr:hierarchicalSubject", "animal|Dog", "places|Italy|Rome")
        + bag("digiKam:TagsList", "people/Ada Lovelace", "SNOW")
    )
    exif = exif_with(main={40094: "winter;fun".encode("utf-16-le")})
    data = jpeg(packet=packet, exif=exif, iptc_block=iptc((25, b"snow"), (25, b"ski lift")))
    wanted = ("dog", "Snow", "animal", "places", "Italy", "Rome", "people", "Ada Lovelace", "ski lift")
    assert read(data).keywords == (*wanted, "winter", "fun")


def test_title_description_and_place_take_the_first_block_that_has_them() -> None:
    """XMP before IPTC before EXIF, field by field."""
    titles = '<rdf:li xml:lang="de">Hund</rdf:li><rdf:li xml:lang="x-default">A dog</rdf:li>'
    title = f"<dc:title><rdf:Alt>{titles}</rdf:Alt></dc:title>"
    packet = xmp(title, 'photoshop:City="Ulm" Iptc4xmpCore:Location="Minster"')
    sets = iptc(
        (5, b"worse"), (120, "Wörds".encode()), (90, b"Elsewhere"), (101, b"Germany"), charset=b"\x1b%G"
    )
    exif = exif_with(main={270: "worst", 40091: "worst".encode("utf-16-le")})
    found = read(jpeg(packet=packet, iptc_block=sets, exif=exif))
    assert (found.title, found.description, found.place) == ("A dog", "Wörds", "Minster, Ulm, Germany")
    bare = read(jpeg(exif=exif))
    assert (bare.title, bare.description, bare.place) == ("worst", "worst", None)


def test_cameras_talking_of_themselves_are_not_descriptions() -> None:
    """What the camera puts there when nobody wrote anything is no description."""
    for noise in ("OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "DCIM\\100MEDIA\\DJI_0001.JPG"):
        assert read(jpeg(exif=exif_with(main={270: noise}))).description is None


@pytest.mark.parametrize(
    ("raw", "charset", "seen"),
    [
        ("Köln".encode(), b"\x1b%G", "Köln"),
        ("Köln".encode(), None, "Köln"),
        ("Köln".encode("cp1252"), None, "Köln"),
        (b"K\xf6ln \xff\xfe", b"\x1b%G", "K�ln ��"),
    ],
)
def test_iptc_character_sets(raw: bytes, charset: bytes | None, seen: str) -> None:
    """Declared UTF-8, undeclared UTF-8, old Windows files, and lies."""
    assert read(jpeg(iptc_block=iptc((90, raw), charset=charset))).place == seen


def test_exif_text_in_utf8() -> None:
    """Programs write UTF-8 where the standard allows ASCII only."""
    exif = exif_with(main={270: "Zürich – 東京".encode()})
    assert read(jpeg(exif=exif)).description == "Zürich – 東京"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_xmp_in_every_container(form: str) -> None:
    """The packet is found wherever the format keeps it."""
    packet = xmp(bag("dc:subject", "dog"))
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded(PICTURE, form, pnginfo=info)
    elif form == "TIFF":
        data = encoded(PICTURE, form, tiffinfo={700: packet})
    else:
        data = encoded(PICTURE, form, xmp=packet)
    assert read(data).keywords == ("dog",)


def test_iptc_in_tiff_as_bytes_and_as_numbers() -> None:
    """The standard says bytes, everybody writes 32-bit numbers: both are read."""
    block = iptc((25, b"cat"), (25, b"dog food"))
    block += b"\x00" * (-len(block) % 4)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = block
    as_bytes = encoded(PICTURE, "TIFF", tiffinfo=tags)
    assert read(as_bytes).keywords == ("cat", "dog food")
    kind = as_bytes[as_bytes.index(struct.pack("<H", 33723)) + 2]
    entry = struct.pack("<HHI", 33723, kind, len(block))
    as_numbers = as_bytes.replace(entry, struct.pack("<HHI", 33723, 4, len(block) // 4))
    assert as_numbers != as_bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow remarks on the numbers; the decoding process is deaf to that
        assert read(as_numbers).keywords == ("cat", "dog food")


def test_iptc_in_png_as_imagemagick_writes_it() -> None:
    """A hexadecimal text chunk holds the block."""
    block = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", 8) + iptc((25, b"cat"))
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type iptc", f"\niptc\n{len(block):8}\n{block.hex()}\n", zip=True)
    assert read(encoded(PICTURE, "PNG", pnginfo=info)).keywords == ("cat",)


def test_utf16_packets() -> None:
    """The specification allows them, with or without a byte order mark."""
    text = xmp(bag("dc:subject", "dög")).decode().replace("\ufeff", "")
    for packet in (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-16-be")):
        assert read_xmp(packet)["dc:subject"] == ["dög"]


HOSTILE = {
    "entity bomb": b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;">]><a>&c;&c;&c;</a>',
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "not XML": b"<<<<",
    "cut short": xmp(bag("dc:subject", "dog"))[:-60],
    "deep": b"<a>" * 100_000 + b"</a>" * 100_000,
    "enormous": b"<a>" + b" " * (5 * 2**20) + b"</a>",
    "wrong encoding": b'<?xml version="1.0" encoding="klingon"?><a/>',
}


@pytest.mark.parametrize("packet", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_packets_cost_only_themselves(packet: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The image decodes, other blocks are read, and the log can say why the fields are empty."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    with caplog.at_level(logging.DEBUG, logger="indexer"):
        found = read(encoded(PICTURE, "PNG", pnginfo=info, exif=exif_with(main={270: "still here"})))
    assert found == Metadata(description="still here")
    well_formed = packet.endswith((b"</a>", b"<a/>"))
    assert well_formed or any("XMP" in record.message for record in caplog.records)


def test_text_is_cleaned_and_bounded() -> None:
    """Nothing a database or terminal could choke on, however long."""
    assert clean_text("  a\x00b\x1b[31m\r\n c\u0085d \ud800 ", 100) == "a b [31m c d"
    assert clean_text("e\u0301", 10) == "é"
    assert clean_text("x" * 10_000_000, 50) == "x" * 50
    packet = xmp(bag("dc:subject", *(f"{number:04}{'y' * 300}" for number in range(2000))))
    keywords = read(encoded(PICTURE, "WEBP", xmp=packet)).keywords
    assert len(keywords) == metadata.MAX_KEYWORDS
    assert max(map(len, keywords)) == metadata.MAX_KEYWORD


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_random_blocks_raise_nothing(noise: bytes) -> None:
    """Noise in every block: an image with whatever could be read."""
    found = read(jpeg(packet=noise, exif=b"Exif\x00\x00" + noise, iptc_block=b"\x1c\x02" + noise))
    for text in (found.title, found.description, found.place, *found.keywords):
        assert text is None or ("\x00" not in text and text == text.strip())


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_iptc_reader_never_runs_away(noise: bytes) -> None:
    """Any bytes behind a true mark give texts no longer than the bytes."""
    block = read_iptc(b"\x1c\x02\x19" + noise)
    assert sum(len(text) for texts in block.values() for text in texts) <= len(noise)


def test_real_files() -> None:
    """Cameras' and agencies' own files, where the optional data is present."""
    folder = odd_folder()
    nikon = read((folder / "DSCN0010.jpg").read_bytes())
    assert nikon.taken_at == datetime(2008, 10, 22, 16, 28, 39)
    assert (nikon.latitude, nikon.longitude) == pytest.approx((43.4674483, 11.8851267))
    army = read((folder / "long_description.jpg").read_bytes())
    assert army.title == "030904-A-2140D-006"
    assert army.description is not None
    assert army.description.startswith("Operation Mountain Viper put the soldiers")
    assert army.place == "KANDAHAR ARMY AIRFIELD, DAYCHOPAN, Afghanistan"
    phone = read((folder / "iphone_13_pro_max.HEIC").read_bytes())
    assert phone.taken_at == datetime(2022, 2, 16, 12, 55, 41, tzinfo=timezone(timedelta(hours=1)))


def test_pictures_without_a_file_have_no_metadata() -> None:
    """A picture made in memory says nothing of itself."""
    assert metadata.read_metadata(Image.open(io.BytesIO(encoded(PICTURE, "BMP")))) == Metadata()
