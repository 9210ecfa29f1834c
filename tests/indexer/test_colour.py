"""Every mode, depth, profile and transparency comes out in the colours a person sees."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from indexer.images import Limits, open_rgb
from tests.pictures import difference, encoded, grey_tiff, png16, scene, swapped_primaries_profile

LIMITS = Limits()


def test_cmyk_jpeg_is_not_a_negative() -> None:
    """Adobe's inverted CMYK and a CMYK TIFF both come out in their true colours."""
    cmyk = scene().convert("CMYK")
    assert difference(open_rgb(encoded(cmyk, "JPEG", quality=95), LIMITS), scene()) < 12
    assert difference(open_rgb(encoded(cmyk, "TIFF"), LIMITS), scene()) < 1


def test_wide_gamut_profile_is_brought_to_srgb() -> None:
    """Pixels in another RGB space are converted: littleCMS' own answer, not the raw numbers."""
    srgb = ImageCms.createProfile("sRGB")
    swapped = swapped_primaries_profile()
    tagged = Image.new("RGB", (8, 8), (200, 30, 30))
    wanted = ImageCms.profileToProfile(
        tagged,
        ImageCms.ImageCmsProfile(io.BytesIO(swapped)),
        srgb,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert wanted is not None
    seen = open_rgb(encoded(tagged, "PNG", icc_profile=swapped), LIMITS)
    assert difference(seen, wanted) == 0
    assert difference(seen, tagged) > 20
    translucent = tagged.convert("RGBA")
    assert difference(open_rgb(encoded(translucent, "PNG", icc_profile=swapped), LIMITS), wanted) == 0
    palette = tagged.quantize(4)
    assert difference(open_rgb(encoded(palette, "PNG", icc_profile=swapped), LIMITS), wanted) < 1


@pytest.mark.parametrize("profile", [b"not a profile", b"\x00" * 200, b""])
def test_damaged_profiles_are_passed_over(profile: bytes) -> None:
    """A profile littleCMS refuses leaves the plain colours."""
    assert difference(open_rgb(encoded(scene(), "PNG", icc_profile=profile), LIMITS), scene()) == 0


def test_srgb_profile_changes_nothing() -> None:
    """The commonest profile of all keeps every pixel exact."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(open_rgb(encoded(scene(), "PNG", icc_profile=srgb), LIMITS), scene()) == 0


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_keeps_its_levels(colour_type: int, channels: int) -> None:
    """A ramp over all 16 bits becomes a ramp over all 8, in grey and colour, with and without alpha."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    levels = np.repeat(np.tile(ramp, (4, 1))[:, :, None], channels, axis=2)
    if channels in (2, 4):
        levels[:, :, -1] = 65535
    seen = np.asarray(open_rgb(png16(levels, colour_type), LIMITS))
    assert np.abs(seen[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(("order", "photometric"), [("<", 1), (">", 1), ("<", 0)])
def test_sixteen_bit_grey_tiff(order: str, photometric: int) -> None:
    """Both byte orders, and both ideas of which end of the scale is white."""
    ramp = np.tile(np.linspace(0, 65535, 256), (3, 1)).astype(f"{order}u2")
    seen = np.asarray(open_rgb(grey_tiff(ramp, order, photometric), LIMITS))[0, :, 0].astype(int)
    wanted = np.arange(256) if photometric else np.arange(255, -1, -1)
    assert np.abs(seen - wanted).max() <= 1


@pytest.mark.parametrize(
    ("levels", "sample_format", "darkest", "brightest"),
    [
        (np.linspace(0, 1, 64, dtype="<f4"), 3, 0, 255),
        (np.linspace(0.2, 0.4, 64, dtype="<f4"), 3, 51, 102),
        (np.linspace(-500, 90_000, 64, dtype="<f4"), 3, 0, 255),
        (np.linspace(0, 3_000_000, 64).astype("<i4"), 2, 0, 255),
        (np.linspace(0, 32767, 64).astype("<i2"), 2, 0, 255),
    ],
)
def test_scientific_tiffs_are_neither_black_nor_white(
    levels: np.ndarray, sample_format: int, darkest: int, brightest: int
) -> None:
    """Floats and wide integers span the visible range their own values ask for."""
    data = grey_tiff(np.tile(levels, (5, 1)), "<", 1, sample_format)
    seen = np.asarray(open_rgb(data, LIMITS))
    assert abs(int(seen.min()) - darkest) <= 1
    assert abs(int(seen.max()) - brightest) <= 1


def test_floats_that_are_no_numbers_are_black() -> None:
    """NaN and infinities neither fail nor stretch the rest."""
    levels = np.tile(np.array([0.0, 1.0, np.nan, np.inf, -np.inf], "<f4"), (2, 1))
    seen = np.asarray(open_rgb(grey_tiff(levels, "<", 1, 3), LIMITS))[0, :, 0]
    assert seen.tolist() == [0, 255, 0, 255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_grey_palette_and_bitmap_modes(mode: str) -> None:
    """What Pillow itself shows of an opaque picture in each mode is what we show."""
    picture = scene().convert(mode)
    assert difference(open_rgb(encoded(picture, "PNG"), LIMITS), picture.convert("RGB")) == 0


def test_transparency_is_white() -> None:
    """Alpha, a transparent palette entry, a transparent grey or colour: all show white paper behind."""
    white = Image.new("RGB", (6, 6), "white")
    clear = Image.new("RGBA", (6, 6), (0, 0, 0, 0))
    half = Image.new("RGBA", (6, 6), (0, 0, 0, 128))
    palette = Image.new("P", (6, 6), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    cases = [
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True, exact=True),
        encoded(clear.convert("LA"), "PNG"),
        encoded(palette, "PNG", transparency=1),
        encoded(palette, "GIF", transparency=1),
        encoded(Image.new("RGB", (6, 6), (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
        encoded(Image.new("L", (6, 6), 9), "PNG", transparency=9),
        encoded(clear, "TIFF"),
    ]
    for data in cases:
        assert difference(open_rgb(data, LIMITS), white) == 0
    assert difference(open_rgb(encoded(half, "PNG"), LIMITS), Image.new("RGB", (6, 6), (127,) * 3)) <= 1


def test_strips_join_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted in one piece or in many, the pixels are the same."""
    translucent = scene().convert("RGBA")
    translucent.putalpha(Image.linear_gradient("L").resize(translucent.size))
    grey16 = png16(np.arange(96 * 64, dtype=np.uint16).reshape(64, 96, 1) * 10, 0)
    palette = encoded(scene().quantize(8), "PNG", transparency=2)
    files = [encoded(translucent, "PNG"), grey16, palette]
    whole = [open_rgb(data, LIMITS) for data in files]
    monkeypatch.setattr("indexer.colour._STRIP_PIXELS", 96 * 7)
    for data, wanted in zip(files, whole, strict=True):
        assert difference(open_rgb(data, LIMITS), wanted) == 0
