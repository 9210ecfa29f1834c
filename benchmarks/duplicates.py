"""How well near-duplicates are told from photographs that are merely alike, by the embedding's cosine.

`python -m benchmarks.duplicates FOLDER` takes 1,000 photographs of a folder, changes 300 of them in several ways, and
prints which share of the changed ones is found, and how many pairs of different photographs are taken for one picture,
at several thresholds.
"""

import io
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.images import model_input
from indexer.predictors import Embedder, load_embedder

PHOTOGRAPHS, CHANGED, BATCH = 1_000, 300, 32
THRESHOLDS = (0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)
Change = Callable[[Image.Image], Image.Image]


def _smaller(factor: int) -> Change:
    return lambda image: image.resize(
        (image.width // factor, image.height // factor), Image.Resampling.LANCZOS
    )


def _compressed(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        return Image.open(io.BytesIO(out.getvalue())).convert("RGB")

    return change


def _cropped(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        across, down = int(image.width * share / 2), int(image.height * share / 2)
        return image.crop((across, down, image.width - across, image.height - down))

    return change


CHANGES: dict[str, Change] = {
    "half size": _smaller(2),
    "JPEG quality 40": _compressed(40),
    "JPEG quality 15": _compressed(15),
    "cropped 5 %": _cropped(0.05),
    "cropped 10 %": _cropped(0.10),
    "cropped 20 %": _cropped(0.20),
    "20 % brighter": lambda image: image.point(lambda value: min(255, int(value * 1.2))),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def _embeddings(embedder: Embedder, pictures: Iterable[Image.Image]) -> np.ndarray:
    """Pictures -> (N, D), unit length."""
    inputs = [model_input(picture, embedder.input) for picture in pictures]
    parts = [np.stack(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)]
    return np.concatenate([embedder.embed_images(part) for part in parts])


def main(folder: Path) -> None:
    """Print the table."""
    files = sorted(folder.glob("*.jpg"))
    random.Random(1).shuffle(files)
    pictures = [Image.open(file).convert("RGB") for file in files[:PHOTOGRAPHS]]
    embedder = load_embedder("small", "cpu")
    originals = _embeddings(embedder, pictures)
    pairs = (originals @ originals.T)[np.triu_indices(len(originals), 1)]
    found = {
        name: (_embeddings(embedder, map(change, pictures[:CHANGED])) * originals[:CHANGED]).sum(1)
        for name, change in CHANGES.items()
    }
    print(f"{len(pairs):,} pairs of different photographs, {CHANGED} changed")
    print("| threshold | " + " | ".join(found) + " | pairs taken for one |")
    print("|" + "---|" * (len(found) + 2))
    for threshold in THRESHOLDS:
        shares = " | ".join(f"{(cosines >= threshold).mean():.0%}" for cosines in found.values())
        print(f"| {threshold:.2f} | {shares} | {(pairs >= threshold).sum()} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
