"""The lists beside a checkpoint."""

from pathlib import Path

import pytest

from indexer.errors import DownloadError, VocabularyError
from indexer.model_hub import side_files
from indexer.published import MODELS, NEVER, TAG2TEXT_DELETED, SideFile
from tests.golden import GOLDEN, needs_golden
from tests.released import TAGS, write_lists

RAM, TAG2TEXT = MODELS["ram"], MODELS["tag2text"]


def nobody(side_file: SideFile) -> Path:
    raise DownloadError("there is no network")


def test_lists_become_a_vocabulary(tmp_path: Path) -> None:
    """In order; the spaces some lines end in are not part of a name."""
    lists = side_files.find(RAM, [write_lists("ram", tmp_path)], nobody)
    vocabulary = side_files.vocabulary(RAM, lists, TAGS)
    assert vocabulary.tags[:2] == ("tag 0", "tag 1")
    assert vocabulary.thresholds[:2] == (0.1, 0.2)
    assert vocabulary.translated(1, "zh") == "zh 1"
    assert set(lists.changed) == {side_file.name for side_file in RAM.side_files}


def test_the_first_folder_wins_and_other_names_are_known(tmp_path: Path) -> None:
    """vocab.txt is often kept under the name of its model."""
    here, there = write_lists("tag2text", tmp_path / "a"), write_lists("tag2text", tmp_path / "b")
    (here / "vocab.txt").rename(here / "bert-base-uncased-vocab.txt")
    lists = side_files.find(TAG2TEXT, [here, there], nobody)
    assert {path.parent for path in lists.files.values()} == {here}


def test_what_is_missing_is_fetched(tmp_path: Path) -> None:
    """And only that."""
    folder, asked = write_lists("ram", tmp_path / "a"), []
    (folder / "ram_tag_list.txt").rename(tmp_path / "elsewhere.txt")

    def fetch(side_file: SideFile) -> Path:
        asked.append(side_file.name)
        return tmp_path / "elsewhere.txt"

    side_files.find(RAM, [folder], fetch)
    assert asked == ["ram_tag_list.txt"]


def test_without_a_network_every_missing_file_is_named_with_its_address(tmp_path: Path) -> None:
    """And where to put it."""
    with pytest.raises(DownloadError) as error:
        side_files.find(RAM, [tmp_path], nobody)
    for side_file in RAM.side_files:
        assert side_file.url in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "--lists FOLDER" in str(error.value)
    assert "there is no network" in str(error.value)


def test_lists_of_another_checkpoint(tmp_path: Path) -> None:
    """Both numbers, and what to do."""
    lists = side_files.find(RAM, [write_lists("ram", tmp_path)], nobody)
    with pytest.raises(
        VocabularyError, match=r"knows 4585 tags, but the list ram_tag_list.txt has 7 lines.*--lists"
    ):
        side_files.vocabulary(RAM, lists, 4585)


@pytest.mark.parametrize(
    ("content", "complaint"), [("0.5\nhalf\n", "no list of thresholds"), ("0.5\n", "7 tags but 1")]
)
def test_thresholds_that_are_none(tmp_path: Path, content: str, complaint: str) -> None:
    """Words, or too few."""
    folder = write_lists("ram", tmp_path)
    (folder / "ram_tag_list_threshold.txt").write_text(content)
    with pytest.raises(VocabularyError, match=complaint):
        side_files.vocabulary(RAM, side_files.find(RAM, [folder], nobody), TAGS)


def test_a_list_that_is_not_text(tmp_path: Path) -> None:
    """Named."""
    folder = write_lists("ram", tmp_path)
    (folder / "ram_tag_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VocabularyError, match=r"ram_tag_list.txt is not readable as text"):
        side_files.vocabulary(RAM, side_files.find(RAM, [folder], nobody), TAGS)


@needs_golden
def test_the_published_lists_are_known_by_their_digests() -> None:
    """All of them; with Tag2Text's thresholds as its code has them."""
    for model in (RAM, MODELS["ram_plus"], TAG2TEXT):
        lists = side_files.find(model, [GOLDEN / "data"], nobody)
        assert lists.changed == ()
    vocabulary = side_files.vocabulary(TAG2TEXT, lists, 3429)
    special = {vocabulary.tags[n]: vocabulary.thresholds[n] for n in (0, 2701, 2828, 1167)}
    assert list(special.values()) == [0.68, 0.7, 0.7, 0.7]
    assert {"person", "man", "woman"} < set(special)
    assert [vocabulary.thresholds[n] for n in TAG2TEXT_DELETED] == [NEVER] * 7
    ram = side_files.vocabulary(RAM, side_files.find(RAM, [GOLDEN / "data"], nobody), 4585)
    assert not any(name != name.strip() for name in ram.translations["zh"])
