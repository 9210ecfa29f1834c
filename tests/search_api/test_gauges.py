"""The catalogue is counted when asked for, but not at any price."""

from indexer.catalog.backlog import Backlog, Waiting
from search_api import gauges
from search_api.gauges import CatalogueGauges

BACKLOG = Backlog({"indexed": 5, "dead": 1}, {"index": Waiting(7, 2, 12.5)}, 3)


def test_what_is_read_is_written() -> None:
    """Each figure under its own name and labels."""
    text = CatalogueGauges().exposition(lambda: BACKLOG).decode()
    for line in (
        'sightline_images{state="indexed"} 5.0',
        'sightline_queue_waiting{queue="index"} 7.0',
        'sightline_queue_claimed{queue="index"} 2.0',
        'sightline_queue_oldest_seconds{queue="index"} 12.5',
        "sightline_workers 3.0",
        "sightline_catalogue_up 1.0",
    ):
        assert line in text.splitlines()


def test_a_catalogue_that_is_away_is_said_to_be() -> None:
    """Nothing stale is told, and the answer is still metrics."""

    def away() -> Backlog:
        raise ConnectionError

    text = CatalogueGauges().exposition(away).decode()
    assert "sightline_catalogue_up 0.0" in text.splitlines()
    assert "sightline_images" not in text


def test_it_is_not_counted_each_time() -> None:
    """Two collectors side by side cost no more than one."""
    asked = []

    def read() -> Backlog:
        asked.append(1)
        return BACKLOG

    kept = CatalogueGauges()
    assert kept.exposition(read) == kept.exposition(read)
    assert len(asked) == 1
    assert gauges.LEAST_PAUSE_S > 0
