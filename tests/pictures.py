"""Small pictures and files that no library writes, for tests of decoding."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green, blue and white quarters: every turn and colour swap shows."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), "red")
    draw.rectangle((width // 2, 0, width, height // 2 - 1), "green")
    draw.rectangle((0, height // 2, width // 2 - 1, height), "blue")
    return picture


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def difference(seen: Image.Image, wanted: Image.Image) -> float:
    """Mean absolute difference of the pixels, in 8-bit levels."""
    assert seen.mode == "RGB"
    assert seen.size == wanted.size
    return float(np.abs(np.asarray(seen, float) - np.asarray(wanted.convert("RGB"), float)).mean())


def png16(levels: np.ndarray, colour_type: int) -> bytes:
    """A 16-bit PNG from (H, W, C) uint16; Pillow writes none in colour."""
    height, width = levels.shape[:2]
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    small = png16(np.zeros((1, 1, 3), np.uint16), 2)
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]


def swapped_primaries_profile() -> bytes:
    """SRGB's profile with red's and green's primaries exchanged: a gamut nobody could overlook."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    where = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = where[b"rXYZ"], where[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def grey_tiff(levels: np.ndarray, order: str, photometric: int, sample_format: int = 1) -> bytes:
    """An uncompressed grey TIFF of any sample type, written out by hand."""
    height, width = levels.shape
    bits = levels.dtype.itemsize * 8
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, levels.nbytes), (339, 3, sample_format),
    ]  # fmt: skip
    directory = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value))
        for tag, kind, value in entries
    )
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    start = struct.pack(f"{order}I", 8 + levels.nbytes)
    return mark + start + levels.tobytes() + struct.pack(f"{order}H", len(entries)) + directory + b"\x00" * 4


def odd_folder() -> Path:
    """Strange files of the optional test data; skips, saying so, where they are absent."""
    root = Path(os.environ.get("SIGHTLINE_TEST_DATA", Path(__file__).parents[2] / "shared"))
    if not (root / "odd").is_dir():
        pytest.skip(
            f"no strange files at {root / 'odd'}: set SIGHTLINE_TEST_DATA to the folder that holds odd/"
        )
    return root / "odd"
