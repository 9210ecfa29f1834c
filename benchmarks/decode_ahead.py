"""What decoding ahead spares the machine with the models: reading what was prepared, beside decoding it there.

    python -m benchmarks.decode_ahead

One thread, one photograph after the other, seconds of a core an image: real photographs as they are, and the same at
12 megapixels, as cameras make them. Inputs are those of RAM, Tag2Text and an OpenCLIP embedder together.
"""

import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from PIL import Image

from indexer.cli.demo import bundled_photographs
from indexer.images import InputSpec, Limits, decode, open_rgb
from indexer.prepared import PreparedImages
from indexer.storage import Storage

SPECS = (InputSpec(384), InputSpec(224, "crop", "bicubic"))
CAMERA = (4000, 3000)


def seconds_each(work: Sequence[Callable[[], object]]) -> float:
    """Processor seconds of this thread one piece of the work takes."""
    started = time.thread_time()
    for piece in work:
        piece()
    return (time.thread_time() - started) / len(work)


def measure(files: Sequence[bytes], folder: Path) -> tuple[float, float, float]:
    """Seconds to decode one, seconds to read one decoded ahead, bytes it takes meanwhile."""
    prepared = PreparedImages(Storage(str(folder)))
    decoded = [decode(data, SPECS, Limits()) for data in files]
    for image in decoded:
        prepared.keep(image, SPECS)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    here = seconds_each([lambda data=data: decode(data, SPECS, Limits()) for data in files])  # type: ignore[misc]
    ahead = seconds_each(
        [lambda image=image: prepared.read(image.content_hash, SPECS) for image in decoded]  # type: ignore[misc]
    )
    return here, ahead, mean(sizes)


def enlarged(data: bytes) -> bytes:
    """The photograph as a camera of today would have sent it."""
    buffer = BytesIO()
    open_rgb(data, Limits()).resize(CAMERA, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    """Print a line for each kind of photograph."""
    files = [path.read_bytes() for path in bundled_photographs()]
    kinds = {"as they are": files, "12 megapixels": [enlarged(data) for data in files]}
    for name, photographs in kinds.items():
        with TemporaryDirectory() as folder:
            here, ahead, size = measure(photographs, Path(folder))
        print(
            f"{name:14} {len(photographs)} photographs: decoded {1000 * here:6.1f} ms, "
            f"read {1000 * ahead:5.2f} ms ({here / ahead:.0f} times less), {size / 1000:.0f} kB each"
        )


if __name__ == "__main__":
    main()
