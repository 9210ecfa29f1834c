"""What is there, by its metadata."""

from pathlib import Path

import pytest

from indexer.errors import CheckpointError, DownloadError, UnknownModel
from indexer.model_hub import inventory
from indexer.model_hub.home import Home
from indexer.model_hub.installing import install, understand
from indexer.published import SideFile
from tests.released import TAGS, network, write_lists, write_released


def nobody(side_file: SideFile) -> Path:
    raise DownloadError("there is no network")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With Tag2Text, and what is no model beside it."""
    home = Home(tmp_path / "models")
    folder = write_lists("tag2text", tmp_path / "released")
    install(understand(write_released("tag2text", folder / "tag2text.pth")), home, nobody)
    (home.folder / ".partial-ram").mkdir()
    (home.folder / "notes").mkdir()
    return home


def test_bundled_installed_and_published_in_one_list(home: Home) -> None:
    """Each once; half-written and foreign folders are no models."""
    found = {entry.name: entry.state for entry in inventory.entries(home)}
    states = {"small": "bundled", "tag2text": "installed", "ram": "published", "ram_plus": "published"}
    assert states.items() <= found.items()
    assert not {".partial-ram", "notes"} & set(found)


def test_an_entry_says_how_to_choose_it(home: Home) -> None:
    """One setting for each thing it does."""
    assert inventory.entry("tag2text", home).settings == (
        "SIGHTLINE_TAGGER=tag2text",
        "SIGHTLINE_CAPTIONER=tag2text",
    )


def test_details_come_from_the_metadata(home: Home) -> None:
    """Parameters are counted from the weights' header."""
    found = inventory.details(inventory.entry("tag2text", home))
    assert (found.tags, found.input_size, found.languages) == (TAGS, 384, ("en",))
    assert found.thresholds == (0.68, 0.68, 0.68)
    assert found.parameters == sum(value.numel() for value in network("tag2text").parameters())
    assert found.source["file"] == "tag2text.pth"
    assert set(found.versions) == {"tagger", "captioner"}


def test_details_of_the_bundled_models() -> None:
    """Whose weights lie in several files."""
    found = inventory.details(inventory.entry("small", Home(Path("/nowhere"))))
    assert found.parameters > 10**7
    assert found.source == {}


def test_an_unknown_model_is_answered_with_the_known(home: Home) -> None:
    """Published ones too."""
    with pytest.raises(UnknownModel, match=r"'rum'. Known: small, tag2text, ram,"):
        inventory.entry("rum", home)


def test_damaged_metadata_and_weights_are_named(home: Home) -> None:
    """With what to do."""
    entry = inventory.entry("tag2text", home)
    (home.of("tag2text") / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(CheckpointError, match=r"model.safetensors is not a readable"):
        inventory.details(entry)
    (home.of("tag2text") / "tagger.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tagger.json cannot be read.*import or pull it again"):
        inventory.entries(home)
