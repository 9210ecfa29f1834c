"""Augmented views of the photos. A view is a pure function of (seed, photo, number), so that teacher and
student see the very same picture and nothing needs to be stored ("A good teacher is patient and
consistent", Beyer et al., CVPR 2022).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

MIN_AREA = 0.35
JITTER = 0.3


@dataclass(frozen=True)
class ViewPlan:
    """`plain` crops per photo, the first one untouched, then `mixed` ones blended with a second photo."""

    seed: int
    plain: int
    mixed: int

    @property
    def count(self) -> int:
        """Views of each photo."""
        return self.plain + self.mixed

    def is_mixed(self, view: int) -> bool:
        """Mixed views show two photos and have no tags or captions of their own."""
        return view >= self.plain


def _crop_box(rng: np.random.Generator, side: int) -> tuple[float, float, float, float]:
    area = rng.uniform(MIN_AREA, 1.0) * side * side
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    width, height = min(side, np.sqrt(area * ratio)), min(side, np.sqrt(area / ratio))
    left, top = rng.uniform(0, side - width), rng.uniform(0, side - height)
    return left, top, left + width, top + height


def _crop(pixels: np.ndarray, rng: np.random.Generator, size: int) -> Image.Image:
    box = _crop_box(rng, pixels.shape[0])
    flip, factors = rng.random() < 0.5, rng.uniform(1 - JITTER, 1 + JITTER, 3)
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageEnhance.Brightness(image).enhance(float(factors[0]))
    image = ImageEnhance.Contrast(image).enhance(float(factors[1]))
    return ImageEnhance.Color(image).enhance(float(factors[2]))


def render(photos: np.ndarray, photo: int, view: int, plan: ViewPlan, size: int) -> np.ndarray:
    """(size, size, 3) uint8: view number `view` of photo number `photo` of (N, H, H, 3) `photos`."""
    if view == 0:
        image = Image.fromarray(photos[photo])
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    rng = np.random.default_rng([plan.seed, photo, view])
    image = _crop(photos[photo], rng, size)
    if plan.is_mixed(view):
        other, share = int(rng.integers(len(photos))), float(rng.random())
        image = Image.blend(image, _crop(photos[other], rng, size), share)
    return np.asarray(image)
