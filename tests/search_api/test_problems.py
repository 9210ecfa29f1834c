"""How errors are told: what a query's slip carries beside its words."""

from indexer.errors import QuerySyntaxError, UnknownTag
from search_api.problems import problem_of


def test_a_slip_points_at_its_characters() -> None:
    """The text, where in it, and what could stand there instead."""
    body = problem_of(QuerySyntaxError("`tagg:` is no key", "a tagg:cat", 2, 4, ["tag"])).body()
    assert (body["status"], body["name"]) == (422, "query_syntax_error")
    told = {name: body[name] for name in ("text", "position", "length", "suggestions")}
    assert told == {"text": "a tagg:cat", "position": 2, "length": 4, "suggestions": ["tag"]}
    assert "path" not in body


def test_a_slip_in_json_names_the_value() -> None:
    """Of a query in JSON, the path to the value that holds the text is told too."""
    body = problem_of(QuerySyntaxError("no number", ">x", 1, 1, path="filter/width")).body()
    assert body["path"] == "filter/width"


def test_an_unknown_tag_points_where_that_is_known() -> None:
    """A tag named in no text has no place in it."""
    assert "position" not in problem_of(UnknownTag("dgo", ["dog"])).body()
    body = problem_of(UnknownTag("dgo", ["dog"], 4, 7)).body()
    assert (body["position"], body["length"], body["tag"]) == (4, 7, "dgo")
