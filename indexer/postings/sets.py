"""Sets of image ids: one a condition, or one a value of a field (`Family`). Ids are below 2^32."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyroaring import BitMap

from indexer.catalog.postings import Key


def from_ids(ids: np.ndarray) -> BitMap:
    """The set of these ids (n,), integers in any order from 0 up to 2^32 - 1."""
    return BitMap(np.ascontiguousarray(ids, np.uint32).data)


def to_ids(members: BitMap) -> np.ndarray:
    """The members ascending, int64 (n,)."""
    return np.frombuffer(members.to_array(), np.uint32).astype(np.int64)


def size(members: BitMap) -> int:
    """Bytes that a set takes, near enough."""
    counted = members.get_statistics()
    held = (
        counted["n_bytes_array_containers"],
        counted["n_bytes_run_containers"],
        counted["n_bytes_bitset_containers"],
    )
    return 100 + 16 * counted["n_containers"] + sum(held)


@dataclass(frozen=True)
class Family:
    """The searchable images of each value of a field. Nothing in it is ever changed in place."""

    members: Mapping[Key, BitMap]

    @classmethod
    def of(cls, groups: Iterable[tuple[Key, np.ndarray]], searchable: BitMap) -> "Family":
        """From (key, ids) in any order; a key may come more than once."""
        members: dict[Key, BitMap] = {}
        for key, ids in groups:
            found = from_ids(ids) & searchable
            members[key] = members[key] | found if key in members else found
        for found in members.values():
            found.run_optimize()
            found.shrink_to_fit()
        return cls({key: found for key, found in members.items() if found})

    def patched(self, changed: BitMap, fresh: "Family") -> "Family":
        """With the images `changed` as they are in `fresh`."""
        members = dict(self.members)
        for key, old in self.members.items():
            if old.intersect(changed):
                members[key] = old - changed
        for key, new in fresh.members.items():
            members[key] = members[key] | new if key in members else new
        return Family({key: found for key, found in members.items() if found})

    def get(self, key: Key) -> BitMap:
        """The images of one value; none if it has none."""
        return self.members.get(key, _EMPTY)

    @cached_property
    def by_size(self) -> list[tuple[int, Key, BitMap]]:
        """(images, key, ids), the commonest value first."""
        counted = [(len(ids), key, ids) for key, ids in self.members.items()]
        return sorted(counted, key=lambda row: -row[0])

    @cached_property
    def all_of_them(self) -> BitMap:
        """Images that have any value."""
        return BitMap.union(*self.members.values()) if self.members else BitMap()

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return sum(size(ids) for ids in self.members.values())


_EMPTY = BitMap()
