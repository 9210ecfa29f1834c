"""Names people use -> tags: in a query's conditions, where they must lead to one, and in free text, where they may.

A name finds its tag by its own name, an alias or a name in another language, whatever the case, with `_` or `-` for
a space. Where several tags share a name, a tag's own name wins over aliases, aliases over other languages.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ARRAY, ColumnElement, Text, any_, case, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from indexer.catalog import tags
from indexer.errors import QueryError, UnknownTag
from indexer.query import Leaf, OneOf, Query, Rejected, TagIs, leaves, map_leaves
from indexer.query.keys import nearest
from indexer.tables import Collection, Tag, TagName
from indexer.vocabulary import canonical

# The longest names of published vocabularies have five words.
MAX_WORDS = 6
# The longest names written without spaces.
MAX_UNSPACED = 8
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be by for from has have he her his how i in into is it its more my no not of off on one "
        "or our out over she so some than that the their them then there these they this to two under up was we were "
        "what when where which while who with without you your"
    )
)
_SINGULARS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
}


@dataclass(frozen=True)
class NamedTag:
    """A tag whose name stands in a text at characters `start` to `end`."""

    tag_id: int
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class _Found:
    """A tag some name leads to; the smaller `rank`, the more directly."""

    rank: int
    tag_id: int
    name: str


def resolve(session: Session, query: Query) -> Query:
    """The query with each tag's id and own name, and collections by their own names.

    Raises:
        UnknownTag: the first name that leads to no tag, with the nearest ones and its place in the query's text.
        QueryError: there is no such collection.
    """
    named = [leaf for leaf in leaves(query.filter) if isinstance(leaf, TagIs | Rejected)]
    found = _find(session, {leaf.name for leaf in named})
    for leaf in named:
        if leaf.name not in found:
            raise _unknown(session, leaf)
    collections = _collections(session, query)

    def known(leaf: Leaf) -> Leaf:
        if isinstance(leaf, TagIs | Rejected):
            return replace(leaf, name=found[leaf.name].name, tag_id=found[leaf.name].tag_id)
        if isinstance(leaf, OneOf) and leaf.key == "collection":
            return replace(leaf, values=tuple(dict.fromkeys(n for v in leaf.values for n in collections[v])))
        return leaf

    return replace(query, filter=map_leaves(query.filter, known))


def _unknown(session: Session, leaf: TagIs | Rejected) -> UnknownTag:
    start, end = leaf.span or (None, None)
    length = None if start is None or end is None else end - start
    return UnknownTag(leaf.name, tags.suggest(session, leaf.name), start, length)


def _find(session: Session, names: Iterable[str]) -> dict[str, _Found]:
    """What each name leads to, of those that lead anywhere."""
    spellings = {name: _spellings(canonical(name)) for name in names}
    if not spellings:
        return {}
    known = _look_up(session, [spelling for each in spellings.values() for spelling in each])
    found = {name: hit for name, each in spellings.items() if (hit := _best(known, each))}
    missing = {canonical(name): name for name in spellings.keys() - found.keys()}
    return found | {missing[key]: hit for key, hit in _look_through(session, list(missing)).items()}


def _spellings(key: str) -> list[str]:
    """How a canonical name may be stored, most likely first: indices are exact about case and spaces."""
    joined = [key, key.replace("-", " "), key.replace(" ", "-"), key.replace(" ", "_")]
    return list(dict.fromkeys([*joined, key.capitalize(), key.title(), key.upper()]))


def _best(known: Mapping[str, _Found], spellings: Sequence[str]) -> _Found | None:
    hits = [known[spelling] for spelling in spellings if spelling in known]
    return min(hits, key=lambda hit: hit.rank, default=None)


def _look_up(session: Session, spellings: Sequence[str]) -> dict[str, _Found]:
    """Tags by names exactly so spelt, by two indices in one statement."""
    wanted = any_(cast(list(dict.fromkeys(spellings)), ARRAY(Text)))
    own = select(Tag.name.label("spelt"), literal(0).label("rank"), Tag.id, Tag.name).where(
        Tag.name == wanted
    )
    other = (
        select(TagName.name, _rank(), TagName.tag_id, Tag.name).join(Tag, Tag.id == TagName.tag_id)
    ).where(TagName.name == wanted)
    return _first(session.execute(union_all(own, other)).all())


def _look_through(session: Session, keys: Sequence[str]) -> dict[str, _Found]:
    """Tags by other names however spelt; reads every one of them."""
    if not keys:
        return {}
    spelt = func.lower(func.replace(TagName.name, "_", " "))
    for letter, folded in (("ß", "ss"), ("ς", "σ")):
        spelt = func.replace(spelt, letter, folded)
    statement = select(spelt, _rank(), TagName.tag_id, Tag.name).join(Tag, Tag.id == TagName.tag_id)
    rows = session.execute(statement.where(spelt == any_(cast(list(keys), ARRAY(Text)))))
    return _first(rows.all())


def _rank() -> ColumnElement[int]:
    return case((TagName.language == "", 1), else_=2)


def _first(rows: Iterable[tuple[str, int, int, str]]) -> dict[str, _Found]:
    """Of tags that share a spelling, the one named most directly, the oldest of equals."""
    found: dict[str, _Found] = {}
    for spelt, rank, tag_id, name in sorted(rows, key=lambda row: row[1:3]):
        found.setdefault(spelt, _Found(rank, tag_id, name))
    return found


def _collections(session: Session, query: Query) -> dict[str, list[str]]:
    """Own names of the collections a query asks for, by the name given."""
    asked = [
        value
        for leaf in leaves(query.filter)
        if isinstance(leaf, OneOf) and leaf.key == "collection"
        for value in leaf.values
    ]
    if not asked:
        return {}
    names = list(session.scalars(select(Collection.name)))
    found = {}
    for value in asked:
        same = [name for name in names if name == value] or [
            n for n in names if canonical(n) == canonical(value)
        ]
        if not same:
            near = nearest(value, tuple(names))
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise QueryError(f"No collection is called {value!r}.{hint}")
        found[value] = same
    return found


def tags_in_text(session: Session, text: str) -> list[NamedTag]:
    """Tags whose names stand in free text, in its order: the longest at each place, none within another.

    English plurals count ("two dogs"), words that hardly mean anything do not.
    """
    spans = dict(_spans(text))
    known = _look_up(session, [spelling for each in spans.values() for spelling in each])
    found: list[NamedTag] = []
    reached = 0
    for (start, end), spellings in sorted(spans.items(), key=lambda item: (item[0][0], -item[0][1])):
        hit = _best(known, spellings) if start >= reached else None
        if hit:
            found.append(NamedTag(hit.tag_id, hit.name, start, end))
            reached = end
    return found


def _spans(text: str) -> Iterator[tuple[tuple[int, int], list[str]]]:
    """Each stretch of text that may be a name, and how that name may be stored."""
    words = [match.span() for match in _WORD.finditer(text)]
    for first, (start, _) in enumerate(words):
        for _, end in words[first : first + MAX_WORDS]:
            key = canonical(text[start:end])
            if key not in _STOP_WORDS:
                yield (start, end), [s for form in _singulars(key) for s in _spellings(form)]
    for run in _UNSPACED.finditer(text):
        for start in range(run.start(), run.end()):
            for end in range(start + 1, min(start + MAX_UNSPACED, run.end()) + 1):
                yield (start, end), [text[start:end]]


def _singulars(key: str) -> list[str]:
    """The name itself, then what its last word may be the plural or possessive of."""
    before, space, last = key.rpartition(" ")
    forms = [last]
    if last.endswith(("'s", "’s")):
        forms.append(last[:-2])
    if last in _SINGULARS:
        forms.append(_SINGULARS[last])
    if len(last) > 3 and last.endswith("s") and not last.endswith("ss"):
        forms.append(last[:-1])
        forms += [last[:-2]] if last.endswith("es") else []
        forms += [last[:-3] + "y"] if last.endswith("ies") else []
        forms += [last[:-3] + "f", last[:-3] + "fe"] if last.endswith("ves") else []
    return [before + space + form for form in forms]
