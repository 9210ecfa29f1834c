"""Files of tags, as people write them and as they get them wrong."""

import json
from pathlib import Path

import pytest

from indexer.errors import VocabularyError
from indexer.open_set.names import NamedTag, check_descriptions, read_names


def written(folder: Path, content: object) -> Path:
    """A file with this text, or this JSON."""
    file = folder / "names"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_plain_text(tmp_path: Path) -> None:
    """One name a line; empty lines and remarks are passed over; a byte-order mark does no harm."""
    tags = read_names(written(tmp_path, "\ufeffred panda\r\n\n# birds\n  Jackdaw \n水母\n"))
    assert [(tag.name, tag.where) for tag in tags] == [
        ("red panda", "line 1"),
        ("Jackdaw", "line 4"),
        ("水母", "line 5"),
    ]
    assert all(tag.threshold is None and not tag.descriptions for tag in tags)


def test_json_forms(tmp_path: Path) -> None:
    """Names alone, names with what belongs to them, and the form RAM++'s authors write."""
    tags = read_names(
        written(
            tmp_path,
            ["owl", {"name": "drone", "threshold": 0.6}, {"crane": ["a bird.", "a machine."]}],
        )
    )
    assert tags == [
        NamedTag("owl", "entry 1"),
        NamedTag("drone", "entry 2", 0.6),
        NamedTag("crane", "entry 3", None, ("a bird.", "a machine.")),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "names no tags: write one a line"),
        ("# nothing\n", "names no tags"),
        ("[]", "names no tags"),
        ("owl\ncat\nOWL", r"'OWL' twice \(line 1 and line 3\): remove one"),
        ("hot_dog\nhot  dog", "twice"),
        ("owl\n...", "line 2: '...' is no name"),
        ("x" * 300, "line 1: .* Write one tag a line"),
        ("[{", "looks like JSON but is not"),
        ({"owl": 1}, "must be a list"),
        ([3], "entry 1: 3 is no tag"),
        ([{"name": "owl", "treshold": 0.5}], "'treshold' is not read. Known: descriptions, name, threshold"),
        ([{"threshold": 0.5, "descriptions": []}], "entry 1: no name"),
        (["a", {"name": "owl", "threshold": 1.5}], "entry 2: threshold 1.5 of 'owl'"),
        ([{"name": "owl", "threshold": True}], "threshold True"),
        ([{"name": "owl", "descriptions": "a bird"}], "must be a list of texts"),
        ([{"owl": ["a bird", " "]}], "none empty"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: object, message: str) -> None:
    """With the line or entry, and what to write instead."""
    with pytest.raises(VocabularyError, match=message):
        read_names(written(tmp_path, content))


def test_unreadable_files(tmp_path: Path) -> None:
    """None there, or no text."""
    with pytest.raises(VocabularyError, match="cannot be read as text"):
        read_names(tmp_path / "none")
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(VocabularyError, match="UTF-8"):
        read_names(tmp_path / "picture")


def test_descriptions_are_counted() -> None:
    """The tag that has too few is named, with how to write them."""
    good, bad = NamedTag("owl", "entry 1", None, ("a", "b")), NamedTag("cat", "line 7")
    check_descriptions([good], 2, "ram_plus")
    with pytest.raises(VocabularyError, match=r"'cat' \(line 7\) has none.*ram, which needs no"):
        check_descriptions([good, bad], 2, "ram_plus")
    with pytest.raises(VocabularyError, match=r"51 written descriptions .*'owl'.* has 2"):
        check_descriptions([good], 51, "ram_plus")
