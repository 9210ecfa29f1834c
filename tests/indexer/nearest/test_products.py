"""Products by many searches at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from indexer.nearest import Nearest, products
from tests.indexer.nearest.conftest import Library


@pytest.mark.parametrize("rows", [0, 1, 7, 1_000, 40_000])
def test_products_are_products(rows: int) -> None:
    """However many, in one piece or in several, asked for by many at once."""
    rng = np.random.default_rng(rows)
    matrix, vectors = rng.standard_normal((rows, 256), np.float32), rng.standard_normal((8, 256), np.float32)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda vector: products.products(matrix, vector), vectors))
    wanted = matrix.astype(np.float64) @ vectors.T.astype(np.float64)
    assert all(np.allclose(one, wanted[:, n], atol=1e-3) for n, one in enumerate(found))


def test_whoever_searches_multiplies_by_one_thread_each(small: Library) -> None:
    """Else searches at once would wait for each other's threads."""
    Nearest(small.store, small.embedder_id, 0)
    assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
