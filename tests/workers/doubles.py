"""A worker whose models do to it what hostile images and full machines do: `python -m tests.workers.doubles ...`.

SIGHTLINE_DOUBLE says what happens when the models see a picture that is all red: `kill`, `hang`, `fail`; or, whatever
they see, `out_of_memory` for more than two pictures at once. Everything else is the real worker.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from indexer.images import InputSpec
from indexer.pipeline import Models, Sight

Pixels = Mapping[InputSpec, np.ndarray]


def shows_red(pixels: Pixels) -> bool:
    """Whether one of the batch's pictures is all red."""
    batch = next(iter(pixels.values())).astype(int)
    means = batch.mean(axis=(1, 2))
    return bool(((means[:, 0] > 240) & (means[:, 1] < 15) & (means[:, 2] < 15)).any())


def kill(pixels: Pixels) -> None:
    """As the kernel does when memory is short."""
    if shows_red(pixels):
        os.kill(os.getpid(), signal.SIGKILL)


def hang(pixels: Pixels) -> None:
    """As a driver with a fault does."""
    if shows_red(pixels):
        time.sleep(3600)


def fail(pixels: Pixels) -> None:
    """As a network does with numbers it cannot handle."""
    if shows_red(pixels):
        raise ValueError("red")


def out_of_memory(pixels: Pixels) -> None:
    """As a GPU does."""
    if len(next(iter(pixels.values()))) > 2:
        raise MemoryError


DOUBLES: dict[str, Callable[[Pixels], None]] = {
    double.__name__: double for double in (kill, hang, fail, out_of_memory)
}


def take_the_place(double: Callable[[Pixels], None]) -> None:
    """From now on `double` is called before the models of this process look."""
    real = Models.look

    def look(self: Models, pixels: Pixels) -> Sight:
        double(pixels)
        return real(self, pixels)

    Models.look = look  # type: ignore[method-assign]


if __name__ == "__main__":
    from celery.__main__ import main

    if os.environ.get("SIGHTLINE_DOUBLE"):
        take_the_place(DOUBLES[os.environ["SIGHTLINE_DOUBLE"]])
    sys.argv = ["celery", "-A", "workers.app", "worker", *sys.argv[1:]]
    main()
