"""The EXIF, IPTC and XMP blocks of an opened file -> plain values. What they mean is `metadata`'s affair.

Written by strangers, so sizes are bounded and XML entities refused; still, callers must expect any exception.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from PIL import Image
from PIL.ExifTags import IFD

IptcBlock = dict[int, list[str]]
XmpBlock = dict[str, list[str]]
ExifBlock = dict[int, object]

_MAX_XMP_BYTES, _MAX_IPTC_BYTES = 4 * 2**20, 2**20
_PHOTOSHOP_IPTC = 0x0404
_TIFF_IPTC = 33723
_IPTC_APPLICATION_RECORD, _IPTC_MARK, _IPTC_CHARSET = 2, 0x1C, (1, 90)
_UTF8_ESCAPE = b"\x1b%G"

_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_UTF16_STARTS = (
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def read_exif(image: Image.Image) -> ExifBlock:
    """The tags of the main directory."""
    return dict(image.getexif())


def read_exif_directory(image: Image.Image, directory: IFD) -> ExifBlock:
    """The tags of one of the directories the main one points to."""
    return dict(image.getexif().get_ifd(directory))


def legacy_text(value: object) -> str:
    """EXIF and IPTC text, whose encoding nobody declares: UTF-8 if it is that, else Windows-1252."""
    if isinstance(value, tuple):
        value = value[0] if value else ""
    if isinstance(value, str):
        try:
            value = value.encode("latin-1")  # Pillow reads ASCII fields as Latin-1
        except UnicodeEncodeError:
            return str(value)
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def windows_text(value: object) -> str:
    """The XP tags: UTF-16, little-endian."""
    if isinstance(value, tuple):
        value = bytes(part & 0xFF for part in value if isinstance(part, int))
    return value.decode("utf-16-le", "replace") if isinstance(value, bytes) else ""


def iptc_bytes(image: Image.Image) -> bytes:
    """The IPTC-IIM block of a JPEG, TIFF or PNG; empty where there is none."""
    photoshop = image.info.get("photoshop")
    if isinstance(photoshop, dict) and isinstance(photoshop.get(_PHOTOSHOP_IPTC), bytes):
        return bytes(photoshop[_PHOTOSHOP_IPTC])
    profile = image.info.get("Raw profile type iptc") or image.info.get("Raw profile type 8bim")
    if isinstance(profile, str):
        data = bytes.fromhex("".join(profile[: 2 * _MAX_IPTC_BYTES].split("\n")[3:]))
        return data[data.index(bytes([_IPTC_MARK])) :]
    # The raw bytes, as Pillow's own IPTC reader takes them: nearly everyone declares this tag as 32-bit
    # numbers, of which the public interface shows the first only.
    raw = getattr(getattr(image, "tag_v2", None), "_tagdata", {}).get(_TIFF_IPTC, b"")
    return raw if isinstance(raw, bytes) else b""


def read_iptc(data: bytes) -> IptcBlock:
    """IPTC-IIM bytes -> the texts of each data set of record 2."""
    sets = list(_iptc_sets(data[:_MAX_IPTC_BYTES]))
    utf8 = any(key == _IPTC_CHARSET and value == _UTF8_ESCAPE for key, value in sets)
    block: IptcBlock = {}
    for (record, number), value in sets:
        if record == _IPTC_APPLICATION_RECORD:
            text = value.decode("utf-8", "replace") if utf8 else legacy_text(value)
            block.setdefault(number, []).append(text)
    return block


def _iptc_sets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((record, data set), value) up to the first byte that does not follow the form."""
    at = 0
    while at + 5 <= len(data) and data[at] == _IPTC_MARK:
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:  # an extended set: these bits are the length of the length
            digits = size & 0x7FFF
            if digits > 4:
                return
            size, at = int.from_bytes(data[at : at + digits], "big"), at + digits
        yield (record, number), data[at : at + size]
        at += size


def xmp_packet(image: Image.Image) -> bytes:
    """The XMP packet as found; empty where there is none or it is absurdly long."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogatepass")
    return bytes(packet) if len(packet) <= _MAX_XMP_BYTES else b""


def read_xmp(packet: bytes) -> XmpBlock:
    """XMP packet -> texts by prefixed property name; of language alternatives the default comes first.

    UTF-8 or UTF-16, as the specification allows; padding and a declaration of another encoding are ignored.
    """
    encoding = next((name for mark, name in _UTF16_STARTS if packet.startswith(mark)), "utf-8-sig")
    text = packet.decode(encoding, "replace").strip("\ufeff\x00 \r\n\t")
    text = re.sub(r"^<\?xml[^>]*\?>", "", text)
    if not text:
        return {}
    root = ElementTree.fromstring(text, forbid_dtd=True)
    block: XmpBlock = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, text in description.attrib.items():
            _add(block, name, [text])
        for element in description:
            _add(block, element.tag, _texts(element))
    return block


def _add(block: XmpBlock, name: str, texts: list[str]) -> None:
    """Keeps the properties of known namespaces, under the prefix everyone writes them with."""
    namespace, _, local = name[1:].partition("}")
    if prefix := _PREFIXES.get(namespace):
        block.setdefault(f"{prefix}:{local}", []).extend(text for text in texts if text)


def _texts(element: Element) -> list[str]:
    """A property's own text, or its list's items with the x-default language first."""
    items = [item for container in element for item in container if item.tag == f"{_RDF}li"]
    if not items:
        return [element.text or ""]
    items.sort(key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
    return [item.text or "" for item in items]
