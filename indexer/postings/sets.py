"""Sets of image ids: one a condition, or one a value of a field (`Family`). Ids are below 2^32."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyroaring import BitMap

from indexer.catalog.postings import Key

# Rare values are put together until they have this part of the library: small enough to be passed over as one.
BLOCK_PART = 0.05


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
class Block:
    """Some values of a field: none has more images than `most`, nor an image that is not in `bounds`."""

    keys: tuple[Key, ...]
    most: int
    bounds: BitMap

    def widened(self, gained: Mapping[Key, BitMap], members: Mapping[Key, BitMap]) -> "Block":
        """Good for `members`, which have `gained` images; it has no less than they even if they lost some besides."""
        keys = [key for key in self.keys if key in gained]
        if not keys:
            return self
        most = max(self.most, *(len(members[key]) for key in keys))
        alone = len(self.keys) == 1
        return Block(
            self.keys, most, members[keys[0]] if alone else self.bounds.union(*(gained[key] for key in keys))
        )


@dataclass(frozen=True)
class Family:
    """The searchable images of each value of a field. Nothing in it is ever changed in place.

    Every value is in one of the `blocks`, rare ones together with others as rare: where a block has too few images,
    its values need not be tried one by one.
    """

    members: Mapping[Key, BitMap]
    blocks: tuple[Block, ...]

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
        members = {key: found for key, found in members.items() if found}
        return cls(members, _blocks(members, int(BLOCK_PART * len(searchable))))

    def patched(self, changed: BitMap, fresh: "Family") -> "Family":
        """With the images `changed` as they are in `fresh`."""
        members = dict(self.members)
        gained: dict[Key, BitMap] = {}
        touched = [key for key, ids in members.items() if ids.intersect(changed)]
        for key in {*touched, *fresh.members}:
            old, now = self.get(key), fresh.get(key)
            before = old & changed
            # Most images that change keep most of their values: their large sets need not be copied.
            if before != now:
                members[key] = (old - before) | now
                if not members[key]:
                    del members[key]
            if more := now - before:
                gained[key] = more
        placed = {key for block in self.blocks for key in block.keys}
        added = _blocks({key: ids for key, ids in gained.items() if key not in placed}, 0)
        blocks = (*(block.widened(gained, members) for block in self.blocks), *added)
        return Family(members, blocks)

    def get(self, key: Key) -> BitMap:
        """The images of one value; none if it has none."""
        return self.members.get(key, _EMPTY)

    @cached_property
    def all_of_them(self) -> BitMap:
        """Images that have any value."""
        return BitMap.union(*self.members.values()) if self.members else BitMap()

    @property
    def size(self) -> int:
        """Bytes, near enough; the bounds of a block of one are its value's own set."""
        bounds = sum(size(block.bounds) for block in self.blocks if len(block.keys) > 1)
        return bounds + sum(size(ids) for ids in self.members.values())


_EMPTY = BitMap()


def _blocks(members: Mapping[Key, BitMap], room: int) -> tuple[Block, ...]:
    """The commonest values first, each block with so many that all of them have at most `room` images, or one."""
    blocks: list[list[Key]] = []
    filled = 0
    for key in sorted(members, key=lambda key: -len(members[key])):
        filled += len(members[key])
        if not blocks or filled > room:
            blocks.append([])
            filled = len(members[key])
        blocks[-1].append(key)
    return tuple(
        Block(tuple(keys), len(members[keys[0]]), _union([members[key] for key in keys])) for keys in blocks
    )


def _union(sets: Sequence[BitMap]) -> BitMap:
    """Of one set: the set itself."""
    return sets[0] if len(sets) == 1 else BitMap.union(*sets)
