"""Tags by any spelling."""

from pathlib import Path

import pytest

from indexer.errors import UnknownTag, VocabularyError
from indexer.vocabulary import Vocabulary, canonical, load_vocabulary, save_vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(
        ("dog", "traffic light", "train", "train"),
        (0.5, 0.25, 0.6, 0.7),
        translations={"de": ("Hund", "Ampel", "Zug", "trainieren")},
        aliases={"puppy": "dog"},
    )


@pytest.mark.parametrize("name", ["traffic light", "Traffic_Light", "  TRAFFIC  light ", "ampel"])
def test_spellings_find_one_tag(vocabulary: Vocabulary, name: str) -> None:
    """Case, underscores, spaces and other languages do not matter."""
    assert vocabulary.find(name) == "traffic light"
    assert name in vocabulary


def test_aliases(vocabulary: Vocabulary) -> None:
    """An alias finds its tag."""
    assert vocabulary.index("Puppy") == 0


def test_repeated_names_keep_their_place(vocabulary: Vocabulary) -> None:
    """Published lists repeat names: the first is found by name, both keep number and threshold."""
    assert vocabulary.index("train") == 2
    assert vocabulary.translated(3, "de") == "trainieren"
    assert vocabulary.thresholds_by_name() == {"dog": 0.5, "traffic light": 0.25, "train": 0.6}


def test_missing_language_falls_back(vocabulary: Vocabulary) -> None:
    """Without a translation the tag's own name is used."""
    assert vocabulary.translated(0, "fr") == "dog"


def test_unknown_tag_suggests(vocabulary: Vocabulary) -> None:
    """A near miss is answered with what was probably meant."""
    with pytest.raises(UnknownTag) as caught:
        vocabulary.find("trafic light")
    assert caught.value.suggestions[0] == "traffic light"
    assert "zebra" not in vocabulary


@pytest.mark.parametrize(
    ("thresholds", "aliases", "complaint"),
    [((0.5,), {}, "exactly one"), ((0.5, 1.5), {}, "0 to 1"), ((0.5, 0.5), {"x": "cat"}, "not a tag")],
)
def test_lists_that_do_not_fit(
    thresholds: tuple[float, ...], aliases: dict[str, str], complaint: str
) -> None:
    """Wrong lengths, thresholds and aliases are refused by name."""
    with pytest.raises(VocabularyError, match=complaint):
        Vocabulary(("dog", "snow"), thresholds, aliases=aliases)


def test_saved_and_loaded(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """A vocabulary survives its file."""
    save_vocabulary(vocabulary, tmp_path / "v.json")
    assert load_vocabulary(tmp_path / "v.json") == vocabulary


@pytest.mark.parametrize("content", ["", "{}", '{"tags": ["a"], "thresholds": "x"}'])
def test_unreadable_file_is_named(tmp_path: Path, content: str) -> None:
    """A damaged file raises one error that names it or its fault."""
    file = tmp_path / "v.json"
    file.write_text(content)
    with pytest.raises(VocabularyError):
        load_vocabulary(file)


def test_canonical_is_idempotent() -> None:
    """Canonical names stay as they are."""
    assert canonical(canonical(" Parking_Lot ")) == "parking lot"
