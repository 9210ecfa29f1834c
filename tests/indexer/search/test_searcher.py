"""Queries over small real libraries, through every step."""

from pathlib import Path

import numpy as np
import pytest

from indexer import nearest
from indexer.catalog import annotations, edits
from indexer.embeddings import EmbeddingStore
from indexer.errors import NotFound, QueryError, ServiceUnavailable, UnknownTag
from indexer.nearest.planner import GUESSES
from indexer.postings import FIELDS, Postings
from indexer.publishing import rows_of
from indexer.query import EVERYTHING, All, ExampleTerm, ImageTerm, Not, Order, Query, TagIs, TextTerm, parse
from indexer.search import MAX_LIMIT, Request, Searcher, SearchResult, Semantics, examples
from indexer.search.evidence import WEIGHTS
from tests.catalogue import add_indexed
from tests.indexer.conftest import Library

ALL = Request(limit=MAX_LIMIT, all=True)


def _ids(result: SearchResult) -> list[int]:
    return [hit.image.id for hit in result.hits]


def _fill(library: Library, count: int, tag_every: int = 10, seed: int = 1, spread: int = 0) -> list[int]:
    """Many images with made-up embeddings, every so manieth showing `rare`; published to Milvus.

    With `spread`, the embeddings differ in so many dimensions only.
    """
    dimension = library.pipeline.models.embedder.dimension
    rows = np.random.default_rng(seed).normal(size=(2 * count, dimension)).astype(np.float32)
    rows[:, spread or dimension :] = 0
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
    library.store.replace(rows_of(stored, dimension), only=ids)
    return ids


def _expected(library: Library, ids: list[int], target: np.ndarray, result: SearchResult) -> list[int]:
    """The order of a full scan by numpy, with the background the search itself told of."""
    assert result.explanation is not None
    background = result.explanation.background
    worth = {name: WEIGHTS[name] / background[name]["deviation"] for name in WEIGHTS}
    with library.sessions() as session:
        stored = annotations.embeddings(session, ids, library.pipeline.annotators.embedder)
    score = {i: worth["image"] * _cosine(e, target) for i, e in stored.images.items()}
    for image_id, packed in stored.captions.values():
        score[image_id] += worth["caption"] * _cosine(packed, target)
    return sorted(score, key=lambda i: -score[i])


def _cosine(packed: bytes, target: np.ndarray) -> float:
    row = annotations.unpack(packed).astype(np.float64)
    return float(row @ target / np.linalg.norm(row))


def test_a_picture_finds_its_own_image(library: Library, photographs: list[Path]) -> None:
    """The same picture as an uploaded example comes first, with a cosine of one in the image channel."""
    image_ids = library.index(*photographs)
    embedder = library.pipeline.models.embedder
    with library.sessions() as session:
        stored = annotations.embeddings(session, image_ids, library.pipeline.annotators.embedder)
    token = examples.encode(annotations.unpack(stored.images[image_ids[2]]), embedder.identity.version)
    version = library.semantics.embedder.identity.version
    assert version == embedder.identity.version
    result = library.searcher.search(Query((ExampleTerm(token),)), ALL)
    assert _ids(result)[0] == image_ids[2]
    assert result.hits[0].why.channels["image"].cosine == pytest.approx(1, abs=1e-3)


def test_a_copy_stands_out_where_nothing_else_does(library: Library) -> None:
    """However widely a library's pictures differ: what is as near as a copy is shown, and little else."""
    ids = _fill(library, 300, spread=6)
    with library.sessions() as session:
        stored = annotations.embeddings(session, ids, library.pipeline.annotators.embedder)
    own = annotations.unpack(stored.images[ids[7]])
    term = ExampleTerm(examples.encode(own, library.semantics.embedder.identity.version))
    shown = _ids(library.searcher.search(Query((term,)), Request()))
    assert ids[7] in shown
    assert len(shown) < 30  # of 300
    in_words_too = Query((term, TextTerm("snow", 1e-3)))
    assert ids[7] not in _ids(library.searcher.search(in_words_too, Request()))


def test_scores_are_the_sum_of_their_parts(library: Library, photographs: list[Path]) -> None:
    """Hits come best first, each once, and every part of a score is told: by channel and by term."""
    image_ids = library.index(*photographs)
    terms = (TextTerm("a motorcycle in a garage"), TextTerm("a cat", -0.5), ImageTerm(image_ids[0], 0.3))
    result = library.searcher.search(Query(terms), ALL)
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert sorted(_ids(result)) == sorted(image_ids[1:])
    for hit in result.hits:
        channels = hit.why.channels
        assert hit.score == pytest.approx(sum(part.part for part in channels.values()))
        embedded = sum(part.part for name, part in channels.items() if name != "tag")
        assert sum(item.part for item in hit.why.terms) == pytest.approx(embedded, abs=1e-2)
        assert [item.term for item in hit.why.terms][:2] == ["a motorcycle in a garage", "a cat"]


def test_more_like_this_leaves_out_the_example(library: Library, photographs: list[Path]) -> None:
    """The example is not its own answer; the total says so too. Less like this keeps it."""
    image_ids = library.index(*photographs[:4])
    result = library.searcher.search(Query((ImageTerm(image_ids[0]),)), ALL)
    assert (set(_ids(result)), result.total.value) == (set(image_ids[1:]), 3)
    turned = library.searcher.search(Query((ImageTerm(image_ids[0], -1.0),)), ALL)
    assert _ids(turned)[-1] == image_ids[0]


@pytest.mark.parametrize("text", ["snow", "", "snow order:size", "order:taken", "order:added_asc"])
def test_pages_join_to_the_whole(library: Library, text: str) -> None:
    """Whatever the order, cutting it into pages neither repeats nor skips."""
    ids = _fill(library, 60)
    query = parse(text)
    whole = _ids(library.searcher.search(query, ALL))
    assert sorted(whole) == ids
    joined, cursor = [], None
    while True:
        page = library.searcher.search(query, Request(limit=7, cursor=cursor, all=True))
        joined += _ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert joined == whole


def test_ranking_under_a_filter_is_that_of_a_full_scan(library: Library) -> None:
    """No hit that passes is lost, and the order is numpy's."""
    ids = _fill(library, 300, 20)
    query = Query((TextTerm("snow"),), TagIs("rare"))
    result = library.searcher.search(query, Request(limit=100, all=True, explain=True))
    target = library.pipeline.models.embedder.embed_texts(["snow"])[0]
    assert _ids(result) == _expected(library, ids[::20], target, result)
    assert result.total.value == len(ids[::20])
    assert all([tag.name for tag in hit.why.tags] == ["rare"] for hit in result.hits)


def test_what_does_not_stand_out_is_hidden_and_counted(library: Library) -> None:
    """The cut-off is the same whatever is filtered; shown and hidden make up what passes."""
    ids = _fill(library, 300)
    near = Query((ImageTerm(ids[5]),))
    cut = library.searcher.search(near, Request(limit=MAX_LIMIT))
    assert cut.cutoff is not None
    assert all(hit.score >= cut.cutoff - 1e-5 for hit in cut.hits if hit.score is not None)
    assert cut.total.value == len(cut.hits) < 299
    assert cut.total.value + cut.hidden.value == 299
    rare = library.searcher.search(Query(near.terms, TagIs("rare")), Request(limit=MAX_LIMIT))
    assert rare.cutoff == pytest.approx(cut.cutoff)
    assert set(_ids(rare)) == {i for i in _ids(cut) if i in ids[::10]}
    assert library.searcher.count(near) == cut.total


def test_the_one_tag_asked_for_stands_out_however_common(library: Library) -> None:
    """Nine in ten show it, so it is the background; asked for by its name, all of them are found."""
    ids = _fill(library, 100)
    result = library.searcher.search(parse("common"), Request(limit=MAX_LIMIT))
    assert set(_ids(result)) >= {i for k, i in enumerate(ids) if k % 10}


def test_facets_lead_to_as_many_hits_as_they_say(library: Library) -> None:
    """Counted inside the cut-off; adding a tag's condition gives that number of hits."""
    ids = _fill(library, 300, 3)
    query = Query((ImageTerm(ids[5]), TextTerm("snow")))
    result = library.searcher.search(query, Request(facets=FIELDS))
    assert set(result.facets) == set(FIELDS)
    counted = {value.value: value.count for value in result.facets["tag"]}
    for name, count in counted.items():
        narrowed = library.searcher.search(Query(query.terms, TagIs(name)))
        assert narrowed.total.value == count > 0
    assert sum(counted.values()) == result.total.value


def test_another_order_keeps_the_same_hits(library: Library) -> None:
    """Ranked by nothing but date or size, what stands out stays what it was, with its scores."""
    ids = _fill(library, 300)
    terms = (ImageTerm(ids[5]),)
    ranked = library.searcher.search(Query(terms), Request(limit=MAX_LIMIT))
    newest = library.searcher.search(Query(terms, order=Order("added")), Request(limit=MAX_LIMIT))
    assert _ids(newest) == sorted(_ids(ranked), reverse=True)
    assert newest.total == ranked.total
    assert {h.image.id: h.score for h in newest.hits} == pytest.approx(
        {h.image.id: h.score for h in ranked.hits}
    )


def test_browsing_needs_no_models(library: Library) -> None:
    """Conditions alone are answered newest first, without scores, though nothing can rank."""
    ids = _fill(library, 40)

    def no_semantics() -> Semantics:
        raise ServiceUnavailable("milvus", "away")

    searcher = Searcher(library.sessions, Postings(), no_semantics)
    result = searcher.search(Query(filter=Not(TagIs("common"))), Request(facets=FIELDS, explain=True))
    assert _ids(result) == ids[::10][::-1]
    assert {hit.score for hit in result.hits} == {None}
    assert result.explanation is not None
    assert result.explanation.plan == "postings"
    with pytest.raises(ServiceUnavailable):
        searcher.search(parse("a dog"))


def test_without_milvus_a_search_says_so(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared otherwise it is whole; with nothing to compare it goes by the tags that words name."""
    ids = _fill(library, 60)

    def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable("milvus", "away")

    assert library.searcher.search(parse("rare")).degraded == ()
    monkeypatch.setattr(EmbeddingStore, "nearest", away)
    monkeypatch.setattr(nearest, "AWAY_S", 0.0)
    monkeypatch.setattr(nearest, "COUNTED_MOST", 0)  # as of a library that is not small
    for model in ("stored", "stream"):
        monkeypatch.setitem(GUESSES, model, (1e6, 1.0))
    library.__dict__.pop("semantics")
    [missing] = library.searcher.search(parse("rare")).degraded
    assert (missing.part, "nothing is missing" in missing.detail) == ("milvus", True)
    monkeypatch.setattr(nearest, "STORED_MOST", 0)
    found = library.searcher.search(parse("rare"))
    assert set(_ids(found)) == set(ids[::10])
    [missing] = found.degraded
    assert "by the tags" in missing.detail
    assert all(abs(hit.why.channels["image"].part) < 1e-6 for hit in found.hits)
    with pytest.raises(ServiceUnavailable):
        library.searcher.search(Query((ImageTerm(ids[5]),)))


def test_a_persons_word_is_in_the_next_search(library: Library) -> None:
    """Asserted, rejected: the filter follows at once."""
    ids = _fill(library, 20)
    assert set(_ids(library.searcher.search(parse("tag:rare")))) == set(ids[::10])
    with library.sessions.begin() as session:
        edits.make(session, [ids[0]], edits.Wish(reject=["rare"]))
        edits.make(session, [ids[1]], edits.Wish(add=["rare"]))
    assert set(_ids(library.searcher.search(parse("tag:rare")))) == {ids[1], ids[10]}
    assert _ids(library.searcher.search(parse("rare:human"))) == [ids[1]]


def test_an_empty_library_answers_with_nothing(library: Library) -> None:
    """Not with an error."""
    for text in ("a dog", "", "a dog order:size"):
        result = library.searcher.search(parse(text), Request(facets=FIELDS))
        assert (result.hits, result.total.value, result.next_cursor) == ((), 0, None)


def test_the_answer_says_how_it_was_found(library: Library) -> None:
    """Plan, estimates, times and background, when asked."""
    _fill(library, 30)
    told = library.searcher.search(parse("snow"), Request(explain=True)).explanation
    assert told is not None
    assert told.plan in {"exact", "stored", "ids", "overfetch", "stream"}
    assert told.stages_ms.keys() >= {"filter", "background", "nearest", "load"}
    assert told.background.keys() == {"image", "caption"}
    assert library.searcher.search(parse("snow")).explanation is None


@pytest.mark.parametrize("limit", [0, MAX_LIMIT + 1])
def test_limits_are_named(library: Library, limit: int) -> None:
    """A page has bounds."""
    with pytest.raises(QueryError, match=str(MAX_LIMIT)):
        library.searcher.search(Query(), Request(limit=limit))


def test_what_names_nothing_is_an_error(library: Library) -> None:
    """Never an empty result: tags, images, cursors of other searches."""
    _fill(library, 10)
    with pytest.raises(UnknownTag, match="Did you mean rare"):
        library.searcher.search(Query(filter=All((TagIs("rrare"), Not(EVERYTHING)))))
    with pytest.raises(NotFound, match="77"):
        library.searcher.search(Query((ImageTerm(10**9 + 77),)))
    cursor = library.searcher.search(parse("snow"), Request(limit=2, all=True)).next_cursor
    with pytest.raises(QueryError, match="another search"):
        library.searcher.search(parse("rain"), Request(limit=2, all=True, cursor=cursor))
