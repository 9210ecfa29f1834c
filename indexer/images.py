"""Bytes -> RGB image as a person sees it, its identity, thumbnail and model inputs.

A file's format is what its content says, never its name. Only the decoders listed here ever run.
Limits are checked before pixels are decoded; time and memory are bounded by `decoding.DecodePool`,
which is where bytes from strangers belong.
"""

import contextlib
import hashlib
import logging
import re
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import pillow_heif
from PIL import AvifImagePlugin, ExifTags, Image, PngImagePlugin

from indexer.colour import to_srgb
from indexer.errors import BrokenImage, ImageError, ImageTooLarge, UnsupportedFormat
from indexer.metadata import Metadata, read_metadata

logger = logging.getLogger(__name__)

THUMBNAIL_SIDE = 512
_LONGEST_RESIZED = 8  # times the shortest side
_THUMBNAIL_QUALITY = 82

# Pillow's name -> ours. JPEG covers MPO: the first picture is an ordinary JPEG.
_FORMATS = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "TIFF": "tiff",
    "BMP": "bmp",
    "AVIF": "avif",
    "HEIF": "heic",
}
# The hungriest (WebP: two canvases, one copy, the result).
_DECODER_BYTES_PER_PIXEL = 16
_READS = "Sightline reads JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF and HEIC"

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_TIFF_SUBFILE, _TIFF_SUB_IFDS, _DNG_VERSION = 254, 330, 50706
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_GENERIC_BRANDS = (b"mif1", b"msf1", b"miaf")
# Contents people do offer, so that the refusal can say what the file is.
_STRANGERS = (
    (b"8BPS", "a Photoshop document"),
    (b"%PDF", "a PDF document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"qoif", "a QOI image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"FUJIFILMCCD-RAW", "a raw photo"),
    (b"IIRO", "a raw photo"),
    (b"II*\x00\x10\x00\x00\x00CR", "a raw photo"),
    (b"IIU\x00", "a raw photo"),
)
_TEXTS = ((b"<svg", "an SVG drawing"), (b"<html", "a web page"), (b"<!doctype html", "a web page"))

_pillow_globals = threading.Lock()
# Only the picture itself is wanted of a HEIC file; parallelism is the pool's, one process per file.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow refuses a picture over text longer than 1 MiB; editing histories and image generators write more.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20


@dataclass(frozen=True)
class InputSpec:
    """How one model wants its pixels: (size, size, 3) uint8 RGB.

    "squash" resizes straight to size x size; "crop" brings the shortest side to `size` and cuts the centre.
    """

    size: int
    fit: Literal["squash", "crop"] = "squash"
    resample: Literal["bilinear", "bicubic"] = "bilinear"

    @property
    def name(self) -> str:
        """Which one it is, in writing: `384-squash-bicubic`."""
        return f"{self.size}-{self.fit}-{self.resample}"

    @classmethod
    def named(cls, name: str) -> "InputSpec":
        """The one that writes itself so. Raises ValueError."""
        size, fit, resample = name.split("-")
        if fit not in ("squash", "crop") or resample not in ("bilinear", "bicubic"):
            raise ValueError(f"{name} names no way of preparing pixels.")
        return cls(int(size), fit, resample)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Limits:
    """What one file may cost. Time and memory are enforced by `DecodePool`.

    `timeout_s` is processor time in seconds; by the clock, three times that may pass. `max_memory_bytes` is
    what a decoding process may grow by; Linux only.
    """

    max_bytes: int = 100 * 2**20
    max_pixels: int = 150_000_000
    timeout_s: float = 10.0
    max_memory_bytes: int = 2**30


@dataclass(frozen=True)
class DecodedImage:
    """All that is needed of one file once its pixels are gone; small.

    `inputs` has one (size, size, 3) uint8 RGB array per `InputSpec`, in order. `width` and `height`
    are in pixels as a person sees them, after orientation. `read_s` and `decode_s` are seconds.
    """

    content_hash: bytes
    size_bytes: int
    format: str
    width: int
    height: int
    thumbnail: bytes
    metadata: Metadata
    inputs: tuple[np.ndarray, ...]
    read_s: float = 0.0
    decode_s: float = 0.0


def content_hash(data: bytes) -> bytes:
    """The identity of an image: the 32-byte SHA-256 digest of its bytes."""
    return hashlib.sha256(data).digest()


def decode(data: bytes, specs: Sequence[InputSpec], limits: Limits) -> DecodedImage:
    """Everything needed of one file: thumbnail (WebP, sides <= 512 px, sRGB), metadata, model inputs.

    Raises ImageTooLarge, UnsupportedFormat or BrokenImage. Model inputs are resized straight from the
    full-size picture: a JPEG decoded at reduced scale would be faster and not quite the same.
    """
    started = time.perf_counter()
    with _opened(data, limits) as image:
        name = _FORMATS.get(image.format or "", "jpeg")
        metadata = read_metadata(image)
        rgb = _as_seen(image)
    return DecodedImage(
        content_hash=content_hash(data),
        size_bytes=len(data),
        format=name,
        width=rgb.width,
        height=rgb.height,
        thumbnail=_thumbnail(rgb),
        metadata=metadata,
        inputs=tuple(model_input(rgb, spec) for spec in specs),
        decode_s=time.perf_counter() - started,
    )


def open_rgb(data: bytes, limits: Limits) -> Image.Image:
    """Bytes -> mode "RGB" in sRGB, upright, transparency over white. Raises as `decode` does."""
    with _opened(data, limits) as image:
        return _as_seen(image)


def model_input(rgb: Image.Image, spec: InputSpec) -> np.ndarray:
    """RGB image of any size -> (size, size, 3) uint8, antialiased."""
    resample = Image.Resampling.BILINEAR if spec.resample == "bilinear" else Image.Resampling.BICUBIC
    square = (spec.size, spec.size)
    resized = rgb.resize(square, resample) if spec.fit == "squash" else _cropped(rgb, spec.size, resample)
    return np.asarray(resized).copy()


def _cropped(rgb: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """Shortest side to `size`, then the centre, rounded as torchvision's Resize and CenterCrop do."""
    shortest = min(rgb.size)
    width, height = int(size * rgb.width / shortest), int(size * rgb.height / shortest)
    left, top = round((width - size) / 2), round((height - size) / 2)
    if max(width, height) <= _LONGEST_RESIZED * size:
        return rgb.resize((width, height), resample).crop((left, top, left + size, top + size))
    # A 20000 x 1 picture would pass through a gigapixel: only the source of the centre is resized. Pillow
    # then rounds between its two passes in another order, so this is not for ordinary shapes.
    across, down = rgb.width / width, rgb.height / height
    right, bottom = min((left + size) * across, rgb.width), min((top + size) * down, rgb.height)
    return rgb.resize((size, size), resample, box=(left * across, top * down, right, bottom))


def _thumbnail(rgb: Image.Image) -> bytes:
    """WebP of at most 512 px a side, never enlarged."""
    scale = min(1.0, THUMBNAIL_SIDE / max(rgb.size))
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    small = rgb if scale == 1.0 else rgb.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = BytesIO()
    small.save(buffer, "WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    return buffer.getvalue()


def _as_seen(image: Image.Image) -> Image.Image:
    """Colours first, then turned once as the file's orientation says.

    The result carries no EXIF and no profile, or whoever saves or turns it next would apply them again.
    """
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(_orientation(image))
    rgb = to_srgb(image)
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info = {}
    with contextlib.suppress(Exception):  # unreadable EXIF carries nothing
        rgb.getexif().clear()
    return rgb


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation still to be applied, 1 where there is none or it cannot be read.

    Pillow puts AVIF's irot and imir here, and also XMP's tiff:Orientation; the HEIC decoder turns the
    picture itself and leaves 1.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # a stranger's bytes: whatever it is, the picture is still a picture
        logger.debug("orientation not read: %r", error)
        return 1
    return value if isinstance(value, int) else 1


def too_many_bytes(size: int, limits: Limits) -> str:
    """The reason given for a file over the limit on bytes."""
    return (
        f"The file has {size:,} bytes, over the limit of {limits.max_bytes:,}. "
        "Shrink it, or raise SIGHTLINE_IMAGES__MAX_BYTES."
    )


@contextlib.contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """The decoded file in its own mode; every failure inside becomes an ImageError that says why."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(too_many_bytes(len(data), limits))
    name = sniff(data)
    pixels = 0
    try:
        with _open_header(data, name, limits) as image:
            pixels = image.width * image.height
            _check_size(image.size, limits)
            _check_not_raw(image)
            image.load()
            yield image
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise ImageTooLarge(_too_many_pixels(int(count[0]) if count else 0, limits)) from error
    except Exception as error:  # decoders raise whatever their parser ran into
        logger.debug("not decoded", exc_info=True)
        if re.search("out of memory|allocat", str(error), re.IGNORECASE):
            raise MemoryError(str(error)) from error
        doubtful = pixels * _DECODER_BYTES_PER_PIXEL > limits.max_memory_bytes or "decoder object" in str(
            error
        )
        raise _broken(name, error, memory_may_be_why=doubtful) from error


def _broken(name: str, error: Exception, *, memory_may_be_why: bool) -> BrokenImage:
    """Refused even where only the end is missing: half a picture would be tagged as if it were whole.

    Some decoders do not tell want of memory from damage; where the picture is that large, both are said.
    """
    reason = str(error).strip().rstrip(".") or type(error).__name__
    if "truncated" in reason or "unexpected end" in reason.lower():
        reason = f"the file ends too early ({reason})"
    elif "cannot identify" in reason:
        reason = "its header is damaged, declares no pixels or a variant not read here"
    remedy = "Fetch or export the file again"
    if memory_may_be_why:
        remedy += ", or if it opens elsewhere, raise SIGHTLINE_IMAGES__MAX_MEMORY_BYTES"
    return BrokenImage(f"Starts like {_article(name)} image but does not decode: {reason}. {remedy}.")


def _article(name: str) -> str:
    ours = _FORMATS[name].upper()
    return f"an {ours}" if ours == "AVIF" else f"a {ours}"


def _open_header(data: bytes, name: str, limits: Limits) -> Image.Image:
    """Pillow's own opening with one decoder allowed, before any pixel is decoded.

    Pillow keeps its pixel limit in a global and only warns up to twice that value; the lock and the half
    make it refuse at ours, silently below, also inside decoders that allocate while opening (WebP).
    """
    with _pillow_globals, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS = max(1, limits.max_pixels // 2)
        return Image.open(BytesIO(data), formats=(name,))


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    """Refuses pictures without pixels, with too many, or longer than any camera or scanner makes."""
    width, height = size
    if width < 1 or height < 1:
        raise BrokenImage(f"The picture is {width} x {height}: it has no pixels. Export the file again.")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(_too_many_pixels(width * height, limits))


def _check_not_raw(image: Image.Image) -> None:
    """Raw photos are TIFFs whose first picture is a preview; indexing that as the photo would mislead."""
    tags = getattr(image, "tag_v2", {})
    if _DNG_VERSION in tags or (tags.get(_TIFF_SUBFILE, 0) == 1 and _TIFF_SUB_IFDS in tags):
        raise UnsupportedFormat(f"Not an image Sightline can read: it is a raw photo. {_READS}: convert it.")


def _too_many_pixels(count: int, limits: Limits) -> str:
    return (
        f"The picture has {count:,} pixels, over the limit of {limits.max_pixels:,}. "
        "Shrink it, or raise SIGHTLINE_IMAGES__MAX_PIXELS."
    )


def sniff(data: bytes) -> str:
    """Content -> Pillow's name of one of the formats decoded here.

    Raises UnsupportedFormat naming what the content is, where that is known; BrokenImage if empty.
    """
    if not data:
        raise BrokenImage("The file is empty (0 bytes). Fetch or export it again.")
    strange = data.startswith(tuple(prefix for prefix, _ in _STRANGERS))
    for prefix, name in _SIGNATURES:
        if not strange and data.startswith(prefix):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and (container := _isobmff_name(data)):
        return container
    raise UnsupportedFormat(f"Not an image Sightline can read: {_description(data)}. {_READS}: convert it.")


def _isobmff_name(data: bytes) -> str | None:
    """AVIF or HEIF by the major brand, or for generic brands by the compatible ones; None for video."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, length, 4))]
    if brands[0] not in (*_AVIF_BRANDS, *_HEIF_BRANDS, *_GENERIC_BRANDS):
        return None
    return next(("AVIF" if b in _AVIF_BRANDS else "HEIF" for b in brands if b not in _GENERIC_BRANDS), "HEIF")


def _description(data: bytes) -> str:
    """What a refused file is, in words."""
    for prefix, words in _STRANGERS:
        if data.startswith(prefix):
            return f"it is {words}"
    if data[4:8] == b"ftyp":
        return "it is a video or an image in a container not read here"
    head = data[:1024].lower()
    for mark, words in _TEXTS:
        if mark in head:
            return f"it is {words}"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "it is text" if printable == len(head) else "its content is of no known image format"
