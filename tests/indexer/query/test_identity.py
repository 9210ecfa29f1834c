"""Both spellings are exact twins of the tree."""

import json

from hypothesis import given, settings

from indexer.query import Query, from_json, parse, to_json, to_text
from tests.indexer.query.trees import queries


@settings(max_examples=300, deadline=None)
@given(queries)
def test_text_is_the_trees_twin(query: Query) -> None:
    """What is printed reads back as the same query."""
    assert parse(to_text(query)) == query


@settings(max_examples=300, deadline=None)
@given(queries)
def test_json_is_the_trees_twin(query: Query) -> None:
    """What is written as JSON reads back as the same query, over the wire too."""
    assert from_json(json.loads(json.dumps(to_json(query)))) == query
