"""Any Pillow mode, bit depth, profile or transparency -> the RGB a person sees, on white.

Knows nothing of files, limits or orientation. Works in horizontal strips, so the most it holds is
the source, the result and one strip.
"""

import logging
import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

logger = logging.getLogger(__name__)

_STRIP_PIXELS = 4 * 2**20
_WHITE = (255, 255, 255)
_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_MAX_PROFILE_BYTES = 16 * 2**20
# What sRGB's own profile holds, in D50: the columns of its matrix. Compared rather than the
# description, which half the world's sRGB profiles spell differently.
_SRGB_COLORANTS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2

Convert = Callable[[Image.Image], Image.Image]


def to_srgb(image: Image.Image) -> Image.Image:
    """`image` in any mode Pillow decodes to -> mode "RGB" in sRGB, transparency over white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _levels_to_grey(image)
    elif image.mode == "LAB":
        return _by_strips(image, _profiled(ImageCms.createProfile("LAB"), "LAB"))
    if image.has_transparency_data:
        return _by_strips(image, _over_white(_profile_transform(image, "RGB")))
    if image.mode not in _PROFILE_SPACES:
        image = image.convert("RGB")
    transform = _profile_transform(image, image.mode)
    if transform is not None:
        return _by_strips(image, transform)
    return image if image.mode == "RGB" else image.convert("RGB")


def _by_strips(image: Image.Image, convert: Convert) -> Image.Image:
    """`convert` applied to horizontal strips, each to RGB."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if rows >= height:
        return convert(image)
    result = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if "transparency" in image.info:
            strip.info["transparency"] = image.info["transparency"]
        result.paste(convert(strip), (0, top))
    return result


def _over_white(transform: Convert | None) -> Convert:
    """Composites any mode with transparency over white, its colours first brought to sRGB."""

    def convert(image: Image.Image) -> Image.Image:
        rgba = _to_rgba(image)
        colours = rgba.convert("RGB")
        if transform is not None:
            colours = transform(colours)
        white = Image.new("RGB", image.size, _WHITE)
        white.paste(colours, mask=rgba.getchannel("A"))
        return white

    return convert


def _to_rgba(image: Image.Image) -> Image.Image:
    """RGBA, through the unpremultiplied mode where Pillow has no direct way."""
    if image.mode == "La":
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _profile_transform(image: Image.Image, mode: str) -> Convert | None:
    """The embedded profile's way to sRGB for pixels of `mode`; None where there is none to apply.

    A profile that is damaged, or for another colour space than the pixels, is passed over: the plain
    conversion then gives what a viewer without colour management shows.
    """
    profile_bytes = image.info.get("icc_profile")
    if not profile_bytes or len(profile_bytes) > _MAX_PROFILE_BYTES or mode not in _PROFILE_SPACES:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(profile_bytes))
        if profile.profile.xcolor_space.strip() != _PROFILE_SPACES[mode] or _is_srgb(profile):
            return None
        return _profiled(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.debug("colour profile passed over: %s", error)
        return None


def _profiled(profile: object, mode: str) -> Convert:
    """LittleCMS from `profile` to sRGB: relative colorimetric with black point compensation.

    The choice of photo editors: colours both spaces hold stay exact, blacks stay black.
    """
    transform = ImageCms.buildTransform(
        profile,  # type: ignore[arg-type]
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None
        return converted

    return convert


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether the profile's primaries are sRGB's, so that a transform would change nothing visible."""
    core = profile.profile
    if core.xcolor_space.strip() != "RGB" or "srgb" not in (core.profile_description or "").lower():
        return False
    colorants = (core.red_colorant, core.green_colorant, core.blue_colorant)
    return all(
        found is not None and all(abs(a - b) < 0.005 for a, b in zip(found[0], wanted, strict=True))
        for found, wanted in zip(colorants, _SRGB_COLORANTS, strict=True)
    )


def _levels_to_grey(image: Image.Image) -> Image.Image:
    """More than 8 bits of grey -> "L", scaled from the range the file declares.

    Integers of a declared depth up to 16 bits keep their nominal range (black stays black). For 32-bit
    integers and floats no nominal white exists: floats within 0..1 are taken as such, anything else is
    stretched between its own extremes, which is what viewers of such files do.
    """
    low, high = _nominal_range(image) or _own_range(image)
    scale = 255.0 / (high - low) if high > low else 0.0
    inverted = _tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO

    def convert(strip: Image.Image) -> Image.Image:
        levels = np.nan_to_num(np.asarray(strip, dtype=np.float32), nan=low, posinf=high, neginf=low)
        grey = np.clip((levels - low) * scale, 0, 255)
        return Image.fromarray(np.rint(255 - grey if inverted else grey).astype(np.uint8))

    # One channel is asked of the strips' RGB: all three are equal.
    return _by_strips(image, lambda strip: convert(strip).convert("RGB")).getchannel("R")


def _nominal_range(image: Image.Image) -> tuple[float, float] | None:
    """The levels of black and white by the file's declared depth; None where it declares none."""
    if image.mode.startswith("I;16"):
        bits = _tag(image, _TIFF_BITS) or 16
        return 0.0, float(2**bits - 1)
    low, high = _own_range(image)
    if image.mode == "I":
        if _tag(image, _TIFF_SAMPLE_FORMAT) == _SIGNED and _tag(image, _TIFF_BITS) == 16:
            return (-32768.0, 32767.0) if low < 0 else (0.0, 32767.0)
        # Pillow widens some 16-bit files to 32.
        return (0.0, 65535.0) if _tag(image, _TIFF_BITS) in (None, 16) and 0 <= low <= high <= 65535 else None
    return (0.0, 1.0) if 0 <= low <= high <= 1 else None


def _own_range(image: Image.Image) -> tuple[float, float]:
    """The darkest and brightest finite level; (0, 1) for a picture without one."""
    levels = np.asarray(image)
    finite = levels[np.isfinite(levels)] if levels.dtype.kind == "f" else levels
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if math.isfinite(high - low) else (0.0, 1.0)


def _tag(image: Image.Image, number: int) -> int | None:
    """A TIFF tag's first value; None for other formats, absent or unreadable tags."""
    tags = getattr(image, "tag_v2", None)
    value = tags.get(number) if tags is not None else None
    if isinstance(value, tuple):
        value = value[0] if value else None
    return value if isinstance(value, int) else None
