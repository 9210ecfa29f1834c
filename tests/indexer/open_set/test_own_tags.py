"""Embeddings of one's own tags: how they are made, kept and found again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import CheckpointError, ConfigurationError
from indexer.open_set import own_tags
from indexer.open_set.names import NamedTag
from indexer.open_set.own_tags import OwnTags
from indexer.open_set.prompts import prompts
from indexer.vocabulary import Vocabulary

TAGS = [NamedTag("owl", "line 1", 0.7), NamedTag("red panda", "line 2")]


class Letters:
    """A text encoder that counts letters."""

    dimension = 26

    def embed_texts(self, texts: list[str] | tuple[str, ...]) -> np.ndarray:
        """Frequencies of the letters, scaled to length one."""
        counts = [[text.lower().count(chr(97 + place)) for place in range(26)] for text in texts]
        rows = np.asarray(counts, np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(name: str = "birds", version: str = "1", **changes: object) -> OwnTags:
    """A set of two tags."""
    vocabulary = Vocabulary(("owl", "red panda"), (0.7, 0.5))
    plain = {
        "vocabulary": vocabulary,
        "label_embed": own_tags.embed_names(TAGS, Letters()),
        "descriptions": 1,
    }
    return OwnTags(name, **plain | changes, text_encoder=("ViT-B-16/openai", version))  # type: ignore[arg-type]


@pytest.fixture
def tagger(tmp_path: Path) -> Path:
    """The folder of an installed tagger, as far as tags of one's own go."""
    folder = tmp_path / "ram"
    folder.mkdir()
    (folder / "source.json").write_text(json.dumps({"model": "ram"}))
    return folder


def test_names_are_means_of_their_prompts() -> None:
    """Each prompt of length one, and their mean too; every tag is counted."""
    counted: list[int] = []
    embedded = own_tags.embed_names(TAGS, Letters(), counted.append)
    assert (embedded.shape, embedded.dtype, counted) == ((2, 26), np.float32, [1, 1])
    mean = torch.from_numpy(Letters().embed_texts(prompts("red panda"))).mean(0)
    assert np.allclose(embedded[1], (mean / mean.norm()).numpy(), atol=1e-6)


def test_descriptions_are_not_averaged() -> None:
    """One row a description, a tag's together."""
    tags = [NamedTag("owl", "", None, ("a bird", "it hoots")), NamedTag("cat", "", None, ("purrs", "mews"))]
    embedded = own_tags.embed_descriptions(tags, Letters())
    assert np.array_equal(embedded, Letters().embed_texts(["a bird", "it hoots", "purrs", "mews"]))


def test_saved_and_loaded(tagger: Path) -> None:
    """All of it; another set of the same name takes its place; gone once removed."""
    own_tags.save(made(), tagger)
    own = made(source={"file": "b.txt"}, vocabulary=Vocabulary(("owl", "red panda"), (0.7, 0.6)))
    own_tags.save(own, tagger)
    (found,) = own_tags.read_sets(tagger, ["birds", "birds"])
    assert found.vocabulary == own.vocabulary
    assert np.array_equal(found.label_embed, own.label_embed)
    assert (found.text_encoder, found.version, found.source["file"]) == (
        own.text_encoder,
        own.version,
        "b.txt",
    )
    assert own_tags.names_of(tagger) == ["birds"]
    own_tags.remove(tagger, "birds")
    assert own_tags.names_of(tagger) == []


def test_version_tells_every_change() -> None:
    """Of a name, a threshold or an embedding; and of nothing else."""
    first = made()
    assert made(name="other", version="2").version == first.version
    others = [
        made(vocabulary=Vocabulary(("owl", "panda"), (0.7, 0.5))),
        made(vocabulary=Vocabulary(("owl", "red panda"), (0.7, 0.51))),
        made(label_embed=first.label_embed + np.float32(1e-6)),
    ]
    assert len({first.version, *(other.version for other in others)}) == 4


def test_unknown_sets_are_named(tagger: Path) -> None:
    """With those there are, and how to add one."""
    own_tags.save(made(), tagger)
    with pytest.raises(ConfigurationError, match=r"'fish'. There are: birds; .*vocabulary add fish FILE"):
        own_tags.read_sets(tagger, ["birds", "fish"])
    with pytest.raises(ConfigurationError, match="There are: birds"):
        own_tags.remove(tagger, "fish")
    with pytest.raises(ConfigurationError, match="cannot name a set"):
        own_tags.load(tagger, "../birds")


def test_different_text_encoders_are_not_mixed(tagger: Path) -> None:
    """Their embeddings lie in different spaces."""
    own_tags.save(made(), tagger)
    own_tags.save(made("fish", version="2"), tagger)
    with pytest.raises(ConfigurationError, match="one of them again"):
        own_tags.read_sets(tagger, ["birds", "fish"])


@pytest.mark.parametrize("encoder", ["ViT-B-32/openai", "ViT-B-16/laion2b_s34b_b88k", "ViT-B-16/file.pt"])
def test_other_text_encoders_are_refused(tagger: Path, encoder: str) -> None:
    """Also the right architecture with other weights; and weights without their activation."""
    own_tags.check_encoder(tagger, "ViT-B-16/openai")
    own_tags.check_encoder(tagger, "ViT-B-16-quickgelu//weights/clip.pt")
    with pytest.raises(ConfigurationError, match="was trained with ViT-B-16/openai"):
        own_tags.check_encoder(tagger, encoder)


@pytest.mark.parametrize("source", [None, {"model": "tag2text"}, {}])
def test_fixed_vocabularies(tagger: Path, source: dict[str, str] | None) -> None:
    """Taggers that take no more tags say so."""
    if source is None:
        (tagger / "source.json").unlink()
    else:
        (tagger / "source.json").write_text(json.dumps(source))
    assert own_tags.read_sets(tagger, []) == []
    with pytest.raises(ConfigurationError, match=r"'ram' are fixed.*models pull ram"):
        own_tags.read_sets(tagger, ["birds"])


def test_damaged_files(tagger: Path) -> None:
    """Are named, with the way out."""
    folder = own_tags.save(made(), tagger)
    own_tags.save(made("fish", label_embed=np.zeros((3, 26), np.float32)), tagger)
    with pytest.raises(CheckpointError, match="3 embeddings for 2 tags"):
        own_tags.load(tagger, "fish")
    (folder / "label_embed.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="vocabulary remove birds --tagger ram"):
        own_tags.load(tagger, "birds")
