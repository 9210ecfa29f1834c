"""Made-up photographs in any number: small, all different, some of them broken."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 72)
BROKEN_EVERY = 40


def made_up(count: int, seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """`count` JPEG files as (name, bytes, whether it can be decoded)."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        colours = rng.integers(0, 255, size=(3, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(colours).resize(SIZE, Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80, comment=f"{seed}-{number}".encode())
        whole = number % BROKEN_EVERY != BROKEN_EVERY - 1
        data = buffer.getvalue()
        yield f"{number:06d}.jpg", data if whole else data[: len(data) // 3], whole


def write(folder: Path, count: int, seed: int) -> dict[str, bool]:
    """The same as files; by name, whether it can be decoded."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome = {}
    for name, data, whole in made_up(count, seed):
        (folder / name).write_bytes(data)
        outcome[name] = whole
    return outcome
