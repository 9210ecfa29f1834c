"""The photos, captions and tags a model learns from, as arrays and plain records."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PIXELS = 192  # every photo is stored squashed to this square


@dataclass(frozen=True)
class Photo:
    """One training photo.

    `captions` is empty where nobody described it; `category` is its one clothing class, or None.
    """

    path: Path
    captions: tuple[str, ...]
    caption_tags: tuple[str, ...]
    category: str | None


def read_photos(jsonl: Path) -> list[Photo]:
    """Read one JSON object a line: file, captions, tags, tags_from_captions; paths are relative to the file."""
    photos = []
    for line in jsonl.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        captions = tuple(row.get("captions") or ())
        tags = tuple(row.get("tags") or ())
        category = tags[0] if tags and not captions else None
        path = jsonl.parent / row["file"]
        photos.append(Photo(path, captions, tuple(row.get("tags_from_captions") or ()), category))
    return photos


def training_photos(data: Path) -> list[Photo]:
    """Every photo that may train a shipped model: Flickr8k train, then the CC0 clothing photos."""
    flickr = read_photos(data / "photos" / "flickr8k" / "train.jsonl")
    clothing = read_photos(data / "photos" / "clothing" / "train.jsonl")
    return flickr + clothing


def held_out(photos: Sequence[Photo], share: float, seed: int) -> np.ndarray:
    """(N,) bool: a random slice for calibration and early decisions, the same for the same seed."""
    return np.random.default_rng([seed, len(photos)]).random(len(photos)) < share


def squashed(path: Path, size: int = PIXELS) -> np.ndarray:
    """(size, size, 3) uint8 RGB, aspect ratio not kept: the fit the models are run with."""
    with Image.open(path) as image:
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def pack_pixels(photos: Iterable[Photo], file: Path) -> np.ndarray:
    """(N, 192, 192, 3) uint8, read from `file` when it is there, else decoded and written to it."""
    if not file.exists():
        partial = file.with_suffix(".partial.npy")
        np.save(partial, np.stack([squashed(photo.path) for photo in photos]))
        partial.rename(file)
    return np.load(file, mmap_mode="r")
