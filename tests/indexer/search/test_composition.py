"""Weighted texts and pictures as one direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.query import ExampleTerm, ImageTerm, TextTerm
from indexer.search import composition
from tests.catalogue import embedding

WEIGHTS = st.lists(st.floats(0.1, 5).flatmap(lambda w: st.sampled_from([w, -w])), min_size=1, max_size=5)


@given(WEIGHTS)
def test_shares_add_up_to_the_target(weights: list[float]) -> None:
    """So a cosine with the target is the sum of the terms' parts; the target has length one."""
    terms = [TextTerm(f"text {i}", weight) for i, weight in enumerate(weights)]
    composed = composition.compose(terms, [embedding(i) for i in range(len(terms))])
    assert np.linalg.norm(composed.target) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(composed.shares.sum(axis=0), composed.target, atol=1e-5)


def test_a_negative_term_turns_away() -> None:
    """Less of something means a smaller cosine with it."""
    one, other = embedding(1), embedding(2)
    plain = composition.compose([TextTerm("a")], [one]).target
    turned = composition.compose([TextTerm("a"), TextTerm("b", -0.5)], [one, other]).target
    assert turned @ other < plain @ other


def test_terms_that_cancel_out_are_refused() -> None:
    """There is no direction left."""
    with pytest.raises(QueryError, match="cancel"):
        composition.compose([TextTerm("a"), TextTerm("a", -1.0)], [embedding(1), embedding(1)])


def test_vectors_are_arranged_as_the_terms() -> None:
    """Whatever kind each is."""
    terms = [ImageTerm(7), TextTerm("a"), ExampleTerm("e1.x")]
    found = composition.arrange(terms, {"a": embedding(1)}, {7: embedding(2)}, {"e1.x": embedding(3)})
    assert [list(vector) for vector in found] == [list(embedding(i)) for i in (2, 1, 3)]
    assert composition.texts(terms) == ["a"]
    assert composition.image_ids(terms) == [7]
    assert [composition.name(term) for term in terms] == ["image 7", "a", "your picture"]
