"""Sets of ids and families of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from indexer.postings.sets import Family, from_ids, size, to_ids

IDS = st.sets(st.integers(0, 2**32 - 1), max_size=30)
GROUPS = st.lists(st.tuples(st.integers(1, 4), st.lists(st.integers(1, 12), max_size=8)), max_size=8)


def _family(groups: list[tuple[int, list[int]]], searchable: set[int]) -> Family:
    return Family.of(((key, np.array(ids, np.int64)) for key, ids in groups), BitMap(searchable))


def _plain(groups: list[tuple[int, list[int]]], searchable: set[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for key, ids in groups:
        found[key] = found.get(key, set()) | set(ids) & searchable
    return {key: ids for key, ids in found.items() if ids}


@given(IDS)
def test_ids_there_and_back(ids: set[int]) -> None:
    """In any order, to ascending; up to 2^32 - 1."""
    found = to_ids(from_ids(np.array(list(ids), np.int64)))
    assert found.dtype == np.int64
    assert found.tolist() == sorted(ids)


@given(GROUPS, st.sets(st.integers(1, 12)))
def test_family_of_groups(groups: list[tuple[int, list[int]]], searchable: set[int]) -> None:
    """Keys that come twice are joined; what cannot be searched, and empty values, are left out."""
    family = _family(groups, searchable)
    plain = _plain(groups, searchable)
    assert {key: set(ids) for key, ids in family.members.items()} == plain
    assert set(family.all_of_them) == set().union(*plain.values())
    _check_blocks(family)


def _check_blocks(family: Family) -> None:
    """Every value is in one block, which promises no less than it has."""
    keys = [key for block in family.blocks for key in block.keys]
    assert set(family.members) <= set(keys)
    assert len(keys) == len(set(keys))
    for block in family.blocks:
        for key in block.keys:
            assert family.get(key) <= block.bounds
            assert len(family.get(key)) <= block.most


@given(GROUPS, GROUPS, st.sets(st.integers(1, 12)))
def test_patched_family(
    before: list[tuple[int, list[int]]], after: list[tuple[int, list[int]]], changed: set[int]
) -> None:
    """The images that changed are as they are now, the others as they were, and nothing was changed in place."""
    everything = set(range(1, 13))
    family = _family(before, everything)
    patched = family.patched(BitMap(changed), _family(after, changed))
    expected = _plain([*((key, [i for i in ids if i not in changed]) for key, ids in before)], everything)
    for key, ids in _plain(after, changed).items():
        expected[key] = expected.get(key, set()) | ids
    assert {key: set(ids) for key, ids in patched.members.items()} == expected
    assert {key: set(ids) for key, ids in family.members.items()} == _plain(before, everything)
    _check_blocks(patched)
    again = patched.patched(BitMap(changed), _family(before, changed))
    assert {key: set(ids) for key, ids in again.members.items()} == _plain(before, everything)
    _check_blocks(again)


def test_rare_values_share_a_block() -> None:
    """The common one stands alone; those that are rare are together, up to a part of the library."""
    groups = [(1, list(range(60))), *((key, [key]) for key in range(2, 9))]
    family = _family(groups, set(range(100)))
    assert [block.keys for block in family.blocks] == [(1,), (2, 3, 4, 5, 6), (7, 8)]


def test_size() -> None:
    """Near the bytes that CRoaring says it takes: two an id where ids are few and far between."""
    scattered = BitMap(range(0, 60_000, 20))
    assert 2 * len(scattered) < size(scattered) < 2 * len(scattered) + 200
