"""A hostile server, and fetching that knows its names."""

from collections.abc import Callable, Iterator

import pytest

from indexer.fetching import Boundary, FetchLimits, WebFetch
from indexer.fetching.addresses import networks
from tests import hostile_server
from tests.hostile_server import OUTSIDE, HostileServer

Fetching = Callable[..., WebFetch]


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """The server, for all tests of a module."""
    with hostile_server.serving() as served:
        yield served


@pytest.fixture(scope="session")
def fetching() -> Fetching:
    """Makes a `WebFetch` to which the address outside is as good as public; `names` are what its resolver knows."""

    def made(names: dict[str, list[str]] | None = None, **limits: float) -> WebFetch:
        def resolve(host: str) -> list[str]:
            known = (names or {}).get(host)
            if known is None:
                raise OSError(f"{host} is not known")
            return known

        given = FetchLimits(**{"max_bytes": 1_000_000, "timeout_s": 5, **limits})  # type: ignore[arg-type]
        return WebFetch(given, Boundary(networks(OUTSIDE)), resolve)

    return made
