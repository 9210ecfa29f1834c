"""Inner products of many rows with one vector, by however many searches at once.

The threads a BLAS makes for one product wait for those of others by spinning. With forty searches at once on two
cores, two thousand rows took 290 times as long as with one thread a product. So each product has one thread, and a
long one is cut into pieces for threads of our own, which sleep while there is nothing to do.

An inner product for each row, `vecdot`, reads the rows once, in their order. BLAS's product of a matrix and a vector
(gemv) with one thread does not, and takes two to three times as long once the rows outgrow the cache.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

_WORTH = 2**22  # numbers in a piece: fewer are multiplied sooner than handed over


def one_thread_each() -> None:
    """Have the BLAS libraries this process has loaded use the thread that calls them and no other, from now on."""
    threadpool_limits(1, user_api="blas")


def products(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (n,) of rows (n, D) with a vector (D,), on all cores if that pays; a little inexact."""
    pieces = min(_cores(), rows.size // _WORTH)
    if pieces < 2:
        return np.asarray(np.vecdot(rows, vector))
    found = np.empty(len(rows), np.float32)
    bounds = np.linspace(0, len(rows), pieces + 1, dtype=int)

    def multiply(first: int, end: int) -> None:
        np.vecdot(rows[first:end], vector, out=found[first:end])

    list(_threads().map(multiply, bounds[:-1], bounds[1:]))
    return found


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_cores(), "products")
