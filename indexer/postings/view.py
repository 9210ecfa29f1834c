"""The library as one search sees it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import conditions, postings
from indexer.catalog.postings import Field
from indexer.postings import browsing, completion, confidences, facets
from indexer.postings.browsing import Key
from indexer.postings.completion import Completion, TagIndex
from indexer.postings.facets import FacetValue
from indexer.postings.memory import Memory, Reading
from indexer.postings.sets import Family, from_ids, size, to_ids
from indexer.query import All, Any, Leaf, Node, Not, OneOf, Order, TagIs, at

SEARCHABLE = "searchable"
# If more of the library has changed, what is kept is read anew.
PATCHED_PART, PATCHED_ALWAYS = 0.2, 1_000
# What is said of so many images is read in a fraction of a second; of the whole library it may take many.
FEW = 5_000


class View:
    """Holds everything committed before it was taken, and answers the same however often it is asked.

    For one thread, as long as its session is open. The sets it gives are shared with other views: copy them before
    changing them.
    """

    def __init__(self, memory: Memory, session: Session, revision: int) -> None:
        self.memory, self.session, self.revision = memory, session, revision
        self._met: dict[Leaf, BitMap] = {}
        self._families: dict[Field, Family] = {}
        self._of_few: dict[Field, tuple[BitMap, Family]] = {}

    @cached_property
    def searchable(self) -> BitMap:
        """Images in state `indexed`."""
        return self._searchable(self.revision)

    def matching(self, node: Node) -> BitMap:
        """The searchable images that meet a filter whose tags have been resolved."""
        return self._matching(at(node, datetime.now(UTC)))

    def facets(
        self, query_filter: Node, among: BitMap | None, fields: Sequence[str], limit: int = 20
    ) -> dict[str, list[FacetValue]]:
        """What the images of a result have in common; see `indexer.postings.facets`."""
        return facets.count(self, at(query_filter, datetime.now(UTC)), among, fields, limit)

    def page(
        self, ids: BitMap, order: Order, limit: int, after: Key | None = None
    ) -> tuple[list[int], Key | None]:
        """A page of a result in an order; see `indexer.postings.browsing`."""
        return browsing.page(self, ids, order, limit, after)

    def complete(self, prefix: str, limit: int = 10) -> list[Completion]:
        """Tags that begin so; see `indexer.postings.completion`."""
        return completion.complete(self, prefix, limit)

    def tag_confidences(self, tag_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Searchable images that show a tag, and how surely: ids ascending int64 (n,), float32 (n,) in 0..1.

        Of several who assert the tag, the surest counts; what a person rejected is left out.
        """
        reading = confidences.reading(self.session, tag_id, self._searchable)
        kept = self.memory.current(("confidences", tag_id), reading, self.revision)
        return kept.image_ids, kept.values

    def family(self, field: Field, among: BitMap | None = None) -> Family:
        """The searchable images of each value of a field, read whole when first asked for.

        With `among` only these images matter: of a few of them, nothing else is read that has not been read already.
        """

        def read(some: BitMap | None, revision: int) -> Family:
            wanted = None if some is None else to_ids(some).tolist()
            return Family.of(postings.grouped(self.session, field, wanted), self._searchable(revision))

        if among is not None and len(among) <= FEW and not self.memory.holds(field):
            some = self._of_few.get(field)
            if some is None or not among.issubset(some[0]):
                some = self._of_few[field] = among, read(among, self.revision)
            return some[1]
        if field not in self._families:
            reading = Reading(
                lambda revision: read(None, revision),
                lambda family, changed, revision: family.patched(changed, read(changed, revision)),
                lambda family: family.size,
                self._worth_patching,
            )
            self._families[field] = self.memory.current(field, reading, self.revision, pinned=True)
        return self._families[field]

    @cached_property
    def collection_names(self) -> dict[int, str]:
        """Names by id; a collection's name may change and its images not."""
        return postings.collection_names(self.session)

    def tag_names(self, tag_ids: Sequence[int]) -> dict[int, str]:
        """Names by id; tags that are gone are left out."""
        return self.memory.tag_names(self.session, tag_ids)

    def tag_index(self) -> TagIndex:
        """Every name of every tag."""
        return self.memory.tag_index(self.session)

    @property
    def _worth_patching(self) -> int:
        return max(PATCHED_ALWAYS, int(PATCHED_PART * len(self.searchable)))

    def _searchable(self, revision: int) -> BitMap:
        def load(_: int) -> BitMap:
            found = from_ids(postings.searchable(self.session))
            found.run_optimize()
            return found

        def patch(known: BitMap, changed: BitMap, _: int) -> BitMap:
            again = postings.searchable(self.session, to_ids(changed).tolist())
            return (known - changed) | from_ids(again)

        return self.memory.current(SEARCHABLE, Reading(load, patch, size), revision, pinned=True)

    def _matching(self, node: Node) -> BitMap:
        if isinstance(node, All):
            return self._all(node.parts)
        if isinstance(node, Any):
            return BitMap.union(*map(self._matching, node.parts)) if node.parts else BitMap()
        if isinstance(node, Not):
            return self.searchable - self._matching(node.part)
        if node not in self._met:
            self._met[node] = self._meeting(node) & self.searchable
        return self._met[node]

    def _all(self, parts: Sequence[Node]) -> BitMap:
        found = self.searchable
        for part in parts:
            found = (
                found - self._matching(part.part) if isinstance(part, Not) else found & self._matching(part)
            )
        return found

    def _meeting(self, leaf: Leaf) -> BitMap:
        """Images that meet one condition, in any state."""
        known = self._from_family(leaf)
        if known is not None:
            return known
        reading = Reading(
            lambda _: from_ids(conditions.ids(self.session, leaf)),
            lambda known, changed, _: (
                (known - changed) | from_ids(conditions.ids(self.session, leaf, to_ids(changed).tolist()))
            ),
            size,
            self._worth_patching,
        )
        return self.memory.current(leaf, reading, self.revision)

    def _from_family(self, leaf: Leaf) -> BitMap | None:
        """Images that meet a condition on a field whose values are known anyhow; None if that is not so."""
        if (
            isinstance(leaf, TagIs)
            and leaf == TagIs(leaf.name, tag_id=leaf.tag_id)
            and self.memory.holds("tag")
        ):
            return self.family("tag").get(leaf.tag_id or 0)
        if not isinstance(leaf, OneOf):
            return None
        if leaf.key == "collection":  # under its present name
            named = [key for key, name in self.collection_names.items() if name in leaf.values]
            return BitMap().union(*map(self.family("collection").get, named))
        if leaf.key in ("source", "format") and self.memory.holds(leaf.key):
            return BitMap().union(*map(self.family(leaf.key).get, leaf.values))
        return None
