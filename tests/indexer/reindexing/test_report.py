"""What is told of the differences before a model takes the place of another."""

from collections import Counter
from pathlib import Path

from indexer.catalog import hits, saved_searches
from indexer.reindexing import switching
from tests.changing import Changing


def _tags(library: Changing, ids: list[int]) -> set[tuple[int, str]]:
    with library.sessions() as session:
        return {(i.id, t.name) for i in hits.load(session, ids) for t in i.tags if t.kind == "tagger"}


def test_tags_gained_and_lost(library: Changing, photographs: list[Path]) -> None:
    """Counted by name, as one finds them by comparing the images before and after."""
    ids = library.index(*photographs)
    before = _tags(library, ids)
    change = library.begin("tagger")
    report = library.fill().report
    assert switching.switch(library.sessions, change)
    after = _tags(library, ids)
    gained, lost = Counter(tag for _, tag in after - before), Counter(tag for _, tag in before - after)
    assert (report["tags_gained"], report["tags_lost"]) == (gained.total(), lost.total())
    assert lost.total()
    assert dict(map(tuple, report["lost"])) == lost
    assert [count for _, count in report["lost"]] == sorted(lost.values(), reverse=True)


def test_captions_that_differ(library: Changing, photographs: list[Path]) -> None:
    """How many, and some of them side by side."""
    library.index(*photographs)
    library.begin("captioner")
    report = library.fill().report
    assert report["captions_compared"] == len(photographs)
    assert 0 < report["captions_changed"] <= len(photographs)
    assert all(one["before"] != one["after"] for one in report["examples"])


def test_searches_that_differ(library: Changing, photographs: list[Path]) -> None:
    """The share of the first ten hits both find: all here, where there are fewer images than ten."""
    library.index(*photographs)
    with library.sessions.begin() as session:
        saved_searches.create(session, "cats", "a cat")
        saved_searches.create(session, "by tag alone", "tag:dog")
        saved_searches.create(session, "of another embedder", "like:e1.AAAA")
    library.begin("embedder")
    report = library.fill().report
    assert report["saved_searches"] == {"cats": 1.0}
    assert report["captions_overlap"] == 1.0
    assert report["captions_asked"] > 0
    assert (report["from"]["name"], report["to"]["name"]) == ("small", "other")
