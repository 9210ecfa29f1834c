"""Who has a process to itself."""

from contextlib import ExitStack

from indexer.nearest import Nearest
from indexer.nearest.crowd import Crowd
from indexer.nearest.target import Target
from tests.indexer.nearest.conftest import Library, direction

MEMORY = 10**8
TARGET = Target({"image": direction(1), "caption": direction(2)}, {"image": 1.0, "caption": 0.5})


def test_alone_until_somebody_comes() -> None:
    """Whoever was there before, or has come since, even if gone again."""
    crowd = Crowd()
    with ExitStack() as rest:
        first = rest.enter_context(crowd.joined())
        assert first()
        with crowd.joined() as second:
            assert (first(), second()) == (False, False)
        assert not first()
    with crowd.joined() as third:
        assert third()


def test_what_took_long_among_others_teaches_nothing(small: Library) -> None:
    """A crowd would make every plan look dear, the one that is taken above all; alone, it is learned."""
    nearest = Nearest(small.store, small.embedder_id, MEMORY)
    nearest.load(small.sessions).join(30)
    with small.sessions() as session:

        def estimates(alone: bool) -> dict[str, float]:
            search = {"within": None, "library": small.ids, "limit": 5, "alone": lambda: alone}
            found = nearest.search(session, TARGET, **search)  # type: ignore[arg-type]
            return dict(found.plan.estimates_ms)

        before = estimates(alone=False)
        assert all(estimates(alone=False) == before for _ in range(20))
        estimates(alone=True)
        assert estimates(alone=True) != before
