"""Queries over a small real library."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.dialects.postgresql import insert

from indexer.catalog import annotations, hits
from indexer.errors import NotFound, QueryError, UnknownTag
from indexer.old_query import MAX_LIMIT, Query, TagFilter
from indexer.pipeline import upsert
from indexer.search import WEIGHTS
from indexer.tables import ImageTag
from tests.catalogue import add_indexed
from tests.indexer.conftest import Library


def _ids(library: Library, query: Query) -> list[int]:
    with library.sessions() as session:
        return [hit.image.id for hit in library.searcher.search(session, query).hits]


def test_an_image_resembles_itself_most(library: Library, photographs: list[Path]) -> None:
    """The same picture as a file finds its own image, with a cosine of one in the image channel."""
    image_ids = library.index(*photographs)
    query = Query(like_images=(photographs[2].read_bytes(),))
    with library.sessions() as session:
        result = library.searcher.search(session, query)
    assert result.total == len(image_ids)
    assert max(result.hits, key=lambda hit: hit.scores["image"]).image.id == image_ids[2]
    best = max(hit.scores["image"] for hit in result.hits)
    assert best == pytest.approx(1, abs=2e-2)


def test_scores_are_the_weighted_sum_of_their_channels(library: Library, photographs: list[Path]) -> None:
    """And hits come best first, all of them, each once."""
    image_ids = library.index(*photographs)
    with library.sessions() as session:
        result = library.searcher.search(session, Query(text="a motorcycle in a garage"))
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert sorted(hit.image.id for hit in result.hits) == sorted(image_ids)
    for hit in result.hits:
        parts = sum(WEIGHTS[name] * value for name, value in hit.scores.items())
        assert hit.score == pytest.approx(parts, abs=1e-5)


def test_more_like_this_leaves_out_the_example(library: Library, photographs: list[Path]) -> None:
    """The example is not its own answer; the total says so too."""
    image_ids = library.index(*photographs[:4])
    with library.sessions() as session:
        result = library.searcher.search(session, Query(like_ids=(image_ids[0],)))
    assert {hit.image.id for hit in result.hits} == set(image_ids[1:])
    assert result.total == 3


def test_pages_neither_repeat_nor_skip(library: Library, photographs: list[Path]) -> None:
    """Ranked results cut into pages are the ranked results."""
    library.index(*photographs)
    whole = _ids(library, Query(text="a cat"))
    pages = [_ids(library, Query(text="a cat", limit=2, offset=offset)) for offset in (0, 2, 4)]
    assert [image_id for page in pages for image_id in page] == whole


def _fill(library: Library, count: int, tag_every: int) -> list[int]:
    """Many images with made-up embeddings, every so manieth showing `rare`; published to Milvus."""
    dimension = library.pipeline.models.embedder.dimension
    rows = np.random.default_rng(1).normal(size=(2 * count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    packed = annotations.pack(rows)
    by = library.pipeline.annotators
    with library.sessions.begin() as session:
        ids = []
        for i in range(count):
            tags = {"rare": 0.9} if i % tag_every == 0 else {"common": 0.5}
            vectors = {"image_embedding": packed[2 * i], "caption_embedding": packed[2 * i + 1]}
            ids.append(add_indexed(session, tags, by, **vectors))
        stored = annotations.embeddings(session, ids, by.embedder)
    upsert(library.pipeline.store, stored)
    return ids


def test_a_rare_tag_loses_no_hit_and_ranks_exactly(library: Library) -> None:
    """Filtered results equal a full scan by numpy over the same embeddings."""
    ids = _fill(library, 300, 20)
    rare = ids[::20]
    query = Query(text="snow", tags=TagFilter(all=("rare",)), limit=100)
    with library.sessions() as session:
        result = library.searcher.search(session, query)
        stored = annotations.embeddings(session, rare, library.pipeline.annotators.embedder)
        target = library.pipeline.models.embedder.embed_texts(["snow"])[0]
    expected = {i: WEIGHTS["image"] * float(annotations.unpack(e) @ target) for i, e in stored.images.items()}
    for image_id, packed in stored.captions.values():
        expected[image_id] += WEIGHTS["caption"] * float(annotations.unpack(packed) @ target)
    assert [hit.image.id for hit in result.hits] == sorted(rare, key=lambda i: -expected[i])
    assert result.total == len(rare)
    assert all(hit.matched_tags == ("rare",) for hit in result.hits)


def test_top_of_a_large_library_is_exact_without_a_filter(library: Library) -> None:
    """Fusing two channels from their tops is proved complete before it stops."""
    ids = _fill(library, 500, 500)
    with library.sessions() as session:
        result = library.searcher.search(session, Query(like_ids=(ids[3],), limit=5))
        stored = annotations.embeddings(session, ids, library.pipeline.annotators.embedder)
    target = annotations.unpack(stored.images[ids[3]])
    expected = {i: WEIGHTS["image"] * float(annotations.unpack(e) @ target) for i, e in stored.images.items()}
    for image_id, packed in stored.captions.values():
        expected[image_id] += WEIGHTS["caption"] * float(annotations.unpack(packed) @ target)
    del expected[ids[3]]
    assert [hit.image.id for hit in result.hits] == sorted(expected, key=lambda i: -expected[i])[:5]


def test_browsing_filters_by_tags_alone(library: Library) -> None:
    """Newest first, no scores."""
    ids = _fill(library, 40, 10)
    assert _ids(library, Query(tags=TagFilter(none=("common",)))) == ids[::10][::-1]
    assert _ids(library, Query(tags=TagFilter(any=("rare", "common"), min_confidence=0.8))) == ids[::10][::-1]
    with library.sessions() as session:
        assert all(hit.score is None for hit in library.searcher.search(session, Query(limit=3)).hits)


def test_an_empty_library_answers_with_nothing(library: Library) -> None:
    """Not with an error."""
    assert _ids(library, Query(text="a dog")) == _ids(library, Query()) == []


@pytest.mark.parametrize(
    "query",
    [
        Query(limit=0),
        Query(limit=MAX_LIMIT + 1),
        Query(offset=-1),
        Query(text="x" * 1001),
        Query(tags=TagFilter(min_confidence=1.5)),
        Query(tags=TagFilter(all=("dog",) * 51)),
    ],
)
def test_unanswerable_queries_are_refused(library: Library, query: Query) -> None:
    """With the part and the limit named."""
    with pytest.raises(QueryError, match=r"\d"):
        _ids(library, query)


def test_unknown_tags_and_examples_are_errors(library: Library) -> None:
    """Never an empty result."""
    with pytest.raises(UnknownTag, match="Did you mean dog"):
        _ids(library, Query(tags=TagFilter(all=("dogg",))))
    with pytest.raises(NotFound, match="77"):
        _ids(library, Query(like_ids=(77,)))


def test_the_view_hides_what_a_person_rejected(library: Library, photographs: list[Path]) -> None:
    """Only the rejection is shown."""
    image_id = library.index(photographs[0])[0]
    with library.sessions.begin() as session:
        shown = hits.load(session, [image_id])[0].tags
        if not shown:
            pytest.skip("the tagger saw nothing in this photograph")
        person = annotations.annotator_id(session, "person", "ann")
        row = {"image_id": image_id, "tag_id": shown[0].tag_id, "annotator_id": person}
        session.execute(insert(ImageTag).values(**row, confidence=1, rejected=True))
    with library.sessions() as session:
        named = [tag for tag in hits.load(session, [image_id])[0].tags if tag.name == shown[0].name]
    assert [tag.rejected for tag in named] == [True]
