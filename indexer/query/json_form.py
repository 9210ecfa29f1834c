"""The query as JSON: the same tree as the query box's text.

    {"text": "a dog", "terms": [{"image": 17, "weight": 0.5}], "filter": {...}, "order": "taken"}

A filter is an object; an image must meet all its members. `all`, `any` and `none` hold lists of filters or names
of tags; every other member is a key of the query box with its value, or a list of values any of which will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

from indexer.errors import QuerySyntaxError
from indexer.query.conditions import (
    Piece,
    PieceSlip,
    choice,
    read_filter,
    read_like,
    read_order,
    states_confidence,
    tag_name,
    with_statements,
)
from indexer.query.extent import Slip
from indexer.query.keys import ANNOTATING, BY_NAME, nearest, nearest_keys
from indexer.query.limits import MAX_DEPTH, check_characters, check_size
from indexer.query.numbers import MAX_WEIGHT, write_number
from indexer.query.printer import to_text, write_order
from indexer.query.ranges import READERS, compared, meeting, write_range
from indexer.query.tree import (
    EVERYTHING,
    All,
    Any,
    Between,
    Has,
    ImageTerm,
    Leaf,
    Node,
    Not,
    OneOf,
    Order,
    Query,
    RangeKey,
    Rejected,
    TagIs,
    Term,
    TextTerm,
    normal,
)

_MEMBERS = ("text", "terms", "filter", "order")
_GROUPS = ("all", "any", "none")
_SIGNS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
_TAG = ("name", "min_confidence", "max_confidence", "confidence", "by")
T = TypeVar("T")


def from_json(data: object) -> Query:
    """Read a query.

    Raises:
        QuerySyntaxError: its `path` says where ("filter/any/0/width").
    """
    body = _object(data, "", _MEMBERS)
    text, listed, filter_, order = (body.get(name) for name in _MEMBERS)
    text = "" if text is None else text
    if not isinstance(text, str):
        raise _error("The text is a string", "text", text)
    check_characters(text, "text")
    terms = [TextTerm(text)] if text.strip() else []
    given = _list([] if listed is None else listed, "terms")
    read: list[Term] = [*terms, *(_term(item, f"terms/{n}") for n, item in enumerate(given))]
    node = EVERYTHING if filter_ is None else _node(filter_, "filter", 0)
    query = Query(tuple(read), normal(node), _order(order))
    check_size(query, to_text(query), "query")
    return query


def _error(message: str, path: str, value: object = "", suggestions: Sequence[str] = ()) -> QuerySyntaxError:
    text = value if isinstance(value, str) else ""
    return QuerySyntaxError(message, text, 0, len(text), suggestions, path=path or "query")


def _object(value: object, path: str, members: Sequence[str]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _error(f"This must be an object with {', '.join(members)}", path, value)
    for name in value:
        if name not in members:
            raise _error(
                f"{str(name)[:50]!r} is none of {', '.join(members)}",
                path,
                suggestions=nearest(str(name), tuple(members)),
            )
    return value


def _list(value: object, path: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _error("This must be a list", path, value)
    return value


def _string(value: object, path: str) -> str:
    """A string, or a number as a string."""
    if isinstance(value, str):
        check_characters(value, path)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _error("This must be a string or a number", path)
    if not abs(value) <= 10**18:
        raise _error("This number is too large", path)
    return write_number(value) if isinstance(value, float) else str(value)


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 10**18:
        raise _error("This must be a number, and not an enormous one", path, value)
    return float(value)


def _term(item: object, path: str) -> Term:
    term = _object(item, path, ("text", "image", "example", "weight"))
    kinds = [name for name in term if name != "weight"]
    if len(kinds) != 1:
        raise _error("A term has one of text, image and example, and perhaps a weight", path)
    weight = _number(term.get("weight", 1.0), f"{path}/weight")
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise _error(
            f"A weight lies between -{MAX_WEIGHT} and {MAX_WEIGHT} and is not zero", f"{path}/weight"
        )
    written = _string(term[kinds[0]], f"{path}/{kinds[0]}")
    if kinds[0] == "text":
        if not written.strip():
            raise _error("There are no words here", f"{path}/text", written)
        return TextTerm(written, weight)
    [read] = _read(lambda: read_like([Piece(written)], weight), f"{path}/{kinds[0]}", written)
    if isinstance(read, ImageTerm) != (kinds[0] == "image"):
        message = "An image is an id, an example an uploaded picture's token"
        raise _error(message, f"{path}/{kinds[0]}", written)
    return read


def _order(value: object) -> Order | None:
    if value is None:
        return None
    written = _string(value, "order")
    return _read(lambda: read_order(written), "order", written)


def _node(value: object, path: str, depth: int) -> Node:
    if isinstance(value, str):
        return _tag(value, path)
    if not isinstance(value, Mapping):
        raise _error("A filter is an object, or the name of a tag", path)
    if depth > 2 * MAX_DEPTH:
        raise _error(f"At most {MAX_DEPTH} groups can stand in each other", path)
    return All(tuple(_member(str(name), part, f"{path}/{name}", depth) for name, part in value.items()))


def _member(name: str, value: object, path: str, depth: int) -> Node:
    if name in _GROUPS:
        parts = tuple(_node(part, f"{path}/{n}", depth + 1) for n, part in enumerate(_list(value, path)))
        if name == "any" and not parts:
            raise _error("Any of nothing is nothing: leave the empty list out", path)
        return All(parts) if name == "all" else Any(parts) if name == "any" else Not(Any(parts))
    key = BY_NAME.get(name)
    if key is None or key.takes in ("text", "like", "order"):
        near = (
            *nearest(name, _GROUPS),
            *(k for k in nearest_keys(name) if k not in ("text", "like", "order")),
        )
        raise _error(f"{name[:50]!r} is no key of a filter", path, suggestions=near)
    values = _list(value, path) if isinstance(value, list | tuple) else [value]
    if not values:
        raise _error("Any of nothing is nothing: leave the empty list out", path)
    if key.takes == "tag":
        return Any(tuple(_tag(item, path) for item in values))
    if key.takes == "range":
        return Any(tuple(_range(cast(RangeKey, name), item, path) for item in values))
    pieces = [Piece(_string(item, path), quoted=True) for item in values]
    return _read(lambda: read_filter(key, pieces), path, pieces[0].text)


def _range(key: RangeKey, value: object, path: str) -> Node:
    if isinstance(value, Mapping):
        return _bounds(key, value, path)
    written = _string(value, path)
    if isinstance(value, str):
        return _read(lambda: read_filter(BY_NAME[key], [Piece(written)]), path, written)
    return _read(lambda: compared(key, "=", READERS[key](written)), path, written)


def _bounds(key: RangeKey, value: object, path: str) -> Between:
    ends = _object(value, path, tuple(_SIGNS))
    low = high = Between(key)
    for name, bound in ends.items():
        written = _string(bound, f"{path}/{name}")
        sign = _SIGNS[name]
        covered = _read(partial(READERS[key], written), f"{path}/{name}", written)
        read = compared(key, sign, covered)
        if (low if ">" in sign else high) != Between(key):
            raise _error("This end is given twice: leave one out", path)
        low, high = (read, high) if ">" in sign else (low, read)
    return _read(lambda: meeting(low, high), path, "")


def _tag(value: object, path: str) -> Node:
    if not isinstance(value, Mapping):
        name = _string(value, path)
        return TagIs(_read(lambda: tag_name(name), path, name))
    given = _object(value, path, _TAG)
    tag = _tag(given.get("name", ""), f"{path}/name")
    statements = [Piece(said) for said in _confidences(given, path)]
    by = given.get("by")
    if by is not None:
        written = _string(by, f"{path}/by")
        statements.append(Piece(_read(lambda: choice(BY_NAME["source"], written), f"{path}/by", written)))
    return _read(lambda: with_statements(cast(TagIs, tag), statements), path, "")


def _confidences(given: Mapping[str, object], path: str) -> Iterator[str]:
    """Bounds as the query box writes them: ">=0.8"."""
    for name, sign in (("min_confidence", ">="), ("max_confidence", "<=")):
        if given.get(name) is not None:
            yield sign + _string(given[name], f"{path}/{name}")
    stated = given.get("confidence") or []
    for said in stated if isinstance(stated, list | tuple) else [stated]:
        written = _string(said, f"{path}/confidence")
        if not states_confidence(Piece(written)) or written.casefold() in ANNOTATING:
            raise _error('Write a confidence as ">=0.8" or "0.5..0.8"', f"{path}/confidence", written)
        yield written


def _read(read: Callable[[], T], path: str, written: str) -> T:
    try:
        return read()
    except PieceSlip as slip:
        raise _error(str(slip), path, slip.piece.text, slip.suggestions) from slip
    except Slip as slip:
        raise _error(str(slip), path, written, slip.suggestions) from slip


def to_json(query: Query) -> dict[str, object]:
    """The query as JSON; `from_json` gives it back, its filter in normal form."""
    terms = list(query.terms)
    body: dict[str, object] = {}
    if terms and isinstance(terms[0], TextTerm) and terms[0].weight == 1:
        body["text"] = terms.pop(0).text  # type: ignore[union-attr]
    if terms:
        body["terms"] = [_term_json(term) for term in terms]
    filter_ = normal(query.filter)
    if filter_ != EVERYTHING:
        body["filter"] = filter_json(filter_)
    if query.order:
        body["order"] = write_order(query.order)
    return body


def _term_json(term: Term) -> dict[str, object]:
    kind: dict[str, object] = (
        {"text": term.text}
        if isinstance(term, TextTerm)
        else {"image": term.image_id}
        if isinstance(term, ImageTerm)
        else {"example": term.token}
    )
    return kind if term.weight == 1 else {**kind, "weight": term.weight}


def filter_json(node: Node) -> dict[str, object]:
    """One filter as an object; conditions of different keys become its members."""
    if isinstance(node, All):
        parts = [filter_json(part) for part in node.parts]
        names = [name for part in parts for name in part]
        if all(len(part) == 1 for part in parts) and len(set(names)) == len(names):
            return {name: value for part in parts for name, value in part.items()}
        return {"all": [_brief(part) for part in node.parts]}
    if isinstance(node, Any):
        return {"any": [_brief(part) for part in node.parts]} if node.parts else {"none": [{}]}
    if isinstance(node, Not):
        parts_left_out = node.part.parts if isinstance(node.part, Any) else (node.part,)
        return {"none": [_brief(part) for part in parts_left_out]}
    return _leaf_json(node)


def _brief(node: Node) -> object:
    """Within a list a tag's name does."""
    written = filter_json(node)
    name = written.get("tag")
    return name if len(written) == 1 and isinstance(name, str) else written


def _leaf_json(leaf: Leaf) -> dict[str, object]:
    if isinstance(leaf, TagIs):
        return {"tag": _tag_json(leaf)}
    if isinstance(leaf, Rejected):
        return {"rejected": leaf.name}
    if isinstance(leaf, OneOf):
        return {leaf.key: leaf.values[0] if len(leaf.values) == 1 else list(leaf.values)}
    if isinstance(leaf, Has):
        return {"has": leaf.key}
    return {leaf.key: write_range(leaf)}


def _tag_json(tag: TagIs) -> object:
    least, most = tag.min_confidence, tag.max_confidence
    body: dict[str, object] = {"name": tag.name}
    opened = []
    if least is not None:
        if tag.min_open:
            opened.append(f">{write_number(least)}")
        else:
            body["min_confidence"] = least
    if most is not None:
        if tag.max_open:
            opened.append(f"<{write_number(most)}")
        else:
            body["max_confidence"] = most
    if opened:
        body["confidence"] = opened
    if tag.by:
        body["by"] = tag.by
    return body if len(body) > 1 else tag.name
