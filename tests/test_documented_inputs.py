"""docs/inputs.md says what is so: its tables are read, its bad rows are refused in its words, its settings exist."""

import io
import re
from pathlib import Path

import pytest

from indexer.errors import AddressRefused
from indexer.fetching.addresses import Boundary
from indexer.fetching.dialing import Deadline, Dialer
from indexer.manifests import COLUMNS, BadRow, Row, read
from indexer.settings import Settings
from search_api.endpoints.uploads import SAYING

PAGE = (Path(__file__).parents[1] / "docs" / "inputs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TABLES = [block for kind, block in BLOCKS if kind in ("csv", "jsonl")]
ADDRESSES = PAGE[PAGE.index("| tried |") : PAGE.index("a name that stands for")]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_reads(table: str) -> None:
    """No row of an example is bad."""
    rows = list(read(io.BytesIO(table.encode())))
    assert rows
    assert all(isinstance(row, Row) for row in rows), rows


def test_bad_rows_are_refused_in_these_words() -> None:
    """Number by number."""
    (bad,), (told,) = ([block for kind, block in BLOCKS if kind == name] for name in ("bad", "reasons"))
    found = [row for row in read(io.BytesIO(bad.encode())) if isinstance(row, BadRow)]
    assert [f"{row.number}: {row.reason}" for row in found] == told.splitlines()


def test_every_column_is_explained() -> None:
    """And every field of an upload."""
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert COLUMNS.keys() - named == {"caption", "as_exported"}
    assert all(f"`{name}`" in PAGE for name in {*COLUMNS, *SAYING})


@pytest.mark.parametrize("address", re.findall(r"`([0-9a-fx:.]*[.:0-9][0-9a-fx:.]*)`", ADDRESSES))
def test_every_address_is_refused(address: str) -> None:
    """As the table says, whatever way it is written."""
    dialer = Dialer(Boundary(), lambda host: [], Deadline(5))
    with pytest.raises(AddressRefused):
        dialer.connect_tcp(address, 80)


def test_every_setting_exists() -> None:
    """By the names on the page."""
    groups = {"FETCH": Settings().fetch, "IMAGES": Settings().images}
    for group, name in re.findall(r"SIGHTLINE_(\w+?)__(\w+)", PAGE):
        assert name.lower() in type(groups[group]).model_fields
