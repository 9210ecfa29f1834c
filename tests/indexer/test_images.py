"""Every format and orientation comes out as a person sees it; the rest is refused with a reason."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from indexer import images
from indexer.errors import BrokenImage, ImageError, ImageTooLarge, UnsupportedFormat
from indexer.images import InputSpec, Limits, content_hash, decode, model_input, open_rgb
from tests.golden import GOLDEN, needs_golden, resized
from tests.pictures import difference, encoded, odd_folder, png_header, scene, swapped_primaries_profile

LIMITS = Limits()
ORIENTATION = 0x0112
# How the stored picture must be turned so that each orientation's instruction brings it back.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("JPEG", "jpeg", {"quality": 95}),
        ("JPEG", "jpeg", {"quality": 95, "progressive": True}),
        ("MPO", "jpeg", {"quality": 95, "save_all": True, "append_images": [scene()]}),
        ("PNG", "png", {}),
        ("WEBP", "webp", {"lossless": True}),
        ("WEBP", "webp", {"quality": 90}),
        ("GIF", "gif", {}),
        ("TIFF", "tiff", {}),
        ("TIFF", "tiff", {"compression": "tiff_lzw"}),
        ("TIFF", "tiff", {"compression": "jpeg"}),
        ("BMP", "bmp", {}),
        ("AVIF", "avif", {"quality": 90}),
        ("HEIF", "heic", {"quality": 90}),
    ],
)
def test_every_format_shows_the_same_picture(form: str, name: str, options: dict[str, object]) -> None:
    """One scene, saved in each format, is named for its content and looks the same."""
    data = encoded(scene(), form, **options)
    found = decode(data, [], LIMITS)
    assert (found.format, found.width, found.height) == (name, 96, 64)
    assert found.content_hash == content_hash(data)
    assert found.size_bytes == len(data)
    assert difference(open_rgb(data, LIMITS), scene()) < 3


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_exactly_once(form: str, orientation: int) -> None:
    """Stored turned and marked so, a picture is seen upright in every container."""
    turn = STORED_AS[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(stored, form, exif=exif.tobytes(), quality=95)
    found = decode(data, [], LIMITS)
    assert (found.width, found.height) == (96, 64)
    seen = open_rgb(data, LIMITS)
    assert difference(seen, scene()) < 3
    assert seen.getexif().get(ORIENTATION) is None


@given(orientation=st.integers(0, 70_000))
@settings(max_examples=15, deadline=None)
def test_unknown_orientations_leave_the_picture_alone(orientation: int) -> None:
    """Values outside 1..8 mean nothing; those inside give the same scene."""
    orientation = 9 + orientation % 65_000
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert difference(open_rgb(encoded(scene(), "PNG", exif=exif), LIMITS), scene()) == 0


def test_unreadable_exif_costs_only_the_exif() -> None:
    """Garbage where EXIF should be still shows the picture."""
    data = encoded(scene(), "JPEG", quality=95, exif=b"Exif\x00\x00garbage that is no TIFF header")
    assert difference(open_rgb(data, LIMITS), scene()) < 3


def test_first_frame_of_an_animation() -> None:
    """Animated GIF, WebP and PNG are their first frame."""
    others = [Image.new("RGB", (96, 64), "black")]
    for form in ("GIF", "WEBP", "PNG"):
        data = encoded(scene(), form, save_all=True, append_images=others)
        assert difference(open_rgb(data, LIMITS), scene()) < 3


def test_thumbnails_are_small_upright_srgb_webp() -> None:
    """Longest side 512, shape kept, nothing enlarged, no profile or EXIF left to apply twice."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encoded(scene(1200, 800), "JPEG", exif=exif, icc_profile=swapped_primaries_profile())
    thumbnail = Image.open(io.BytesIO(decode(data, [], LIMITS).thumbnail))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (341, 512))
    assert not {"exif", "icc_profile", "xmp"} & set(thumbnail.info)
    small = decode(encoded(scene(), "PNG"), [], LIMITS)
    assert Image.open(io.BytesIO(small.thumbnail)).size == (96, 64)


@given(width=st.integers(1, 3000), height=st.integers(1, 3000))
@settings(max_examples=15, deadline=None)
def test_thumbnails_and_inputs_of_any_shape(width: int, height: int) -> None:
    """No side of a thumbnail passes 512 or reaches 0; inputs always have their exact shape."""
    specs = [InputSpec(64, "squash"), InputSpec(64, "crop", "bicubic")]
    found = decode(encoded(Image.new("L", (width, height), 99), "BMP"), specs, LIMITS)
    sides = Image.open(io.BytesIO(found.thumbnail)).size
    assert 1 <= min(sides) <= max(sides) <= min(512, max(width, height))
    assert [pixels.shape for pixels in found.inputs] == [(64, 64, 3)] * 2
    assert all(pixels.dtype == np.uint8 and np.all(pixels == 99) for pixels in found.inputs)


def test_squash_is_pillows_own_resize() -> None:
    """Models trained on Pillow's bilinear resize get exactly that."""
    photo = Image.effect_noise((301, 199), 80).convert("RGB")
    wanted = np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR))
    (seen,) = decode(encoded(photo, "PNG"), [InputSpec(224, "squash", "bilinear")], LIMITS).inputs
    assert np.array_equal(seen, wanted)


@needs_golden
@pytest.mark.parametrize("name", ["photo", "grad_rgb", "noise_l"])
def test_squash_is_what_the_published_models_saw(name: str) -> None:
    """Bit for bit the pixels that RAM and Tag2Text were given, grey pictures too.

    Not of transparent pictures: those lay a colour nobody sees bare, where we put white behind it.
    """
    data = (GOLDEN / "inputs" / f"{name}.png").read_bytes()
    assert np.array_equal(model_input(open_rgb(data, LIMITS), InputSpec(384)), resized(name))


@given(width=st.integers(20, 700), height=st.integers(20, 700), size=st.sampled_from([32, 224]))
@settings(max_examples=25, deadline=None)
def test_crop_equals_resizing_all_then_cutting(width: int, height: int, size: int) -> None:
    """The centre crop is torchvision's Resize and CenterCrop; nearly so for extreme shapes."""
    photo = Image.effect_noise((width, height), 80).convert("RGB")
    short = min(width, height)
    new = (int(size * width / short), int(size * height / short))
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    whole = photo.resize(new, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    seen = model_input(photo, InputSpec(size, "crop", "bicubic"))
    if max(new) <= 8 * size:
        assert np.array_equal(seen, np.asarray(whole))
    else:
        assert np.abs(seen.astype(int) - np.asarray(whole, int)).mean() < 2


def test_extreme_shapes_stay_cheap() -> None:
    """20000 x 1 gives a thumbnail and inputs; resizing it whole would take 896 million pixels."""
    found = decode(encoded(Image.new("RGB", (20_000, 1), "red"), "PNG"), [InputSpec(224, "crop")], LIMITS)
    assert found.inputs[0].shape == (224, 224, 3)
    assert Image.open(io.BytesIO(found.thumbnail)).size == (512, 1)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "broken", "empty"),
        (b"<!DOCTYPE html><html></html>", "unsupported_format", "a web page"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format", "SVG"),
        (b"8BPS\x00\x01" + b"\x00" * 64, "unsupported_format", "Photoshop"),
        (b"%PDF-1.7\n", "unsupported_format", "PDF"),
        (b"\x00\x00\x01\x00\x01\x00", "unsupported_format", "icon"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "unsupported_format", "JPEG 2000"),
        (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 20, "unsupported_format", "video"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "unsupported_format", "raw photo"),
        (b"dear diary", "unsupported_format", "text"),
        (bytes(range(128, 256)), "unsupported_format", "no known image format"),
        (b"GIF89a/*" + b"\x00" * 40, "broken", "GIF"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "broken", "header is damaged"),
        (encoded(scene(900, 900), "JPEG")[:-3000], "broken", "ends too early"),
        (encoded(scene(900, 900), "PNG")[:-300], "broken", "ends too early"),
        (encoded(scene(), "HEIF")[:-100], "broken", "HEIC"),
        (encoded(scene(), "AVIF")[:-100], "broken", "AVIF"),
    ],
)
def test_refusals_name_the_reason(data: bytes, code: str, words: str) -> None:
    """What is not a whole image of a known format is refused under the right code, in words."""
    with pytest.raises(ImageError, match=words) as refusal:
        decode(data, [], LIMITS)
    assert refusal.value.code == code


def test_contents_decide_not_signatures_of_other_decoders() -> None:
    """Formats Pillow could open, but which are not ours, never reach its decoders."""
    for form in ("ICO", "PPM", "TGA", "PCX", "JPEG2000", "SGI"):
        with pytest.raises(UnsupportedFormat, match="Sightline reads JPEG, PNG"):
            decode(encoded(scene(), form), [], LIMITS)


def test_raw_photos_are_not_mistaken_for_their_previews() -> None:
    """A TIFF whose first picture calls itself a preview of another is refused as raw."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"
    with pytest.raises(UnsupportedFormat, match="raw photo"):
        decode(encoded(scene(), "TIFF", tiffinfo=tags), [], LIMITS)


@pytest.mark.parametrize("size", [(65_536, 65_536), (14_000, 14_000), (12_248, 12_248)])
def test_bombs_are_refused_before_their_pixels(size: tuple[int, int]) -> None:
    """Over the limit by the header alone: refused, with the number and the setting, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLarge, match="SIGHTLINE_IMAGES__MAX_PIXELS") as refusal:
            decode(png_header(*size), [], LIMITS)
    assert f"{size[0] * size[1]:,}" in str(refusal.value)


def test_pixel_limit_is_exact_and_silent_below() -> None:
    """At the limit a picture decodes, one row over it does not, and nothing warns in between."""
    data = encoded(scene(100, 80), "WEBP")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data, [], Limits(max_pixels=8000)).width == 100
        with pytest.raises(ImageTooLarge):
            decode(data, [], Limits(max_pixels=7999))


def test_byte_limit() -> None:
    """One byte over the limit is refused unread."""
    data = encoded(scene(), "PNG")
    assert decode(data, [], Limits(max_bytes=len(data))).format == "png"
    with pytest.raises(ImageTooLarge, match="SIGHTLINE_IMAGES__MAX_BYTES"):
        decode(data, [], Limits(max_bytes=len(data) - 1))


def test_zero_sized_pictures_are_broken() -> None:
    """A header that declares no pixels is damage, not an empty success."""
    for data in (png_header(0, 5), png_header(5, 0), b"GIF89a\x00\x00\x05\x00" + b"\x00" * 40):
        with pytest.raises(BrokenImage):
            decode(data, [], LIMITS)


def test_long_png_texts_do_not_cost_the_picture() -> None:
    """Image generators write megabytes of text beside the pixels."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 3_000_000, zip=True)
    assert difference(open_rgb(encoded(scene(), "PNG", pnginfo=info), LIMITS), scene()) == 0


VALID = [
    encoded(scene(), form, **options)
    for form, options in (
        ("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}), ("AVIF", {}), ("HEIF", {}),
    )
]  # fmt: skip


@given(
    data=st.sampled_from(VALID),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=6),
    keep=st.floats(0.1, 1),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutilated_files_raise_nothing_but_image_errors(
    data: bytes, edits: list[tuple[float, bytes]], keep: float
) -> None:
    """Cut short and overwritten anywhere: an image, or an ImageError with a message."""
    damaged = bytearray(data)
    for where, patch in edits:
        at = int(where * (len(damaged) - 1))
        damaged[at : at + len(patch)] = patch
    assert_image_or_reason(bytes(damaged[: int(keep * len(damaged))]))


@given(prefix=st.sampled_from([b"", *(data[:16] for data in VALID)]), data=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_raise_nothing_but_image_errors(prefix: bytes, data: bytes) -> None:
    """Noise, also behind a true signature."""
    assert_image_or_reason(prefix + data)


def assert_image_or_reason(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImageError, MemoryError):
            found = decode(data, [InputSpec(16)], Limits(max_pixels=4_000_000))
            assert max(Image.open(io.BytesIO(found.thumbnail)).size) <= 512


def test_shared_strange_files_turn_out_upright() -> None:
    """Real files of every orientation agree with each other, where the optional data is present."""
    folder = odd_folder()
    upright, *turned = (
        np.asarray(
            open_rgb((folder / f"exif_landscape_{n}.jpg").read_bytes(), LIMITS).resize((60, 40)), float
        )
        for n in (1, 2, 7)
    )
    for other in turned:
        # Each has its number painted in the middle; all else is one photo.
        assert np.abs(other - upright).mean() < 5
    for name, size in (
        ("hopper_orientation_6.webp", (128, 128)),
        ("kimono.rotate90.avif", (722, 1024)),
        ("rot3mir1.avif", (640, 427)),
        ("iphone_13_pro_max.HEIC", (3024, 4032)),
        ("rommel.jpg", (2304, 3072)),
    ):
        assert open_rgb((folder / name).read_bytes(), LIMITS).size == size


def test_known_formats_are_listed_once() -> None:
    """Every signature leads to a format with a name of ours."""
    assert {name for _, name in images._SIGNATURES} <= set(images._FORMATS)
