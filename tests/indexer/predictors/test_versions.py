"""Models are found again by the name and version the catalogue recorded."""

from pathlib import Path

import pytest

from indexer import predictors
from indexer.errors import ModelMissing
from indexer.predictors.versions import identify, load_version
from indexer.published import Kind
from tests.other_models import install_other

KINDS: tuple[Kind, ...] = ("tagger", "captioner", "embedder")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["exact", "bf16"])
def test_a_version_alone_brings_the_model_back(kind: Kind, precision: str) -> None:
    """Whatever the settings are by then: the precision is part of the version."""
    how = predictors.options("cpu", None, precision)
    who = identify(kind, "small", how)
    assert load_version(kind, who.name, who.version, "cpu", None).identity == who
    assert ("bf16" in who.version) == (precision == "bf16")


def test_who_a_model_is_can_be_told_without_loading_it() -> None:
    """As the loaded model says of itself."""
    how = predictors.options("cpu", None, "exact")
    assert identify("embedder", "small", how) == predictors.load_embedder("small", **how).identity


def test_a_model_that_is_not_here_says_what_to_do(tmp_path: Path) -> None:
    """By name: bring it, or change the library to another."""
    with pytest.raises(ModelMissing, match=r"sightline models pull ram.*sightline reindex --tagger NAME"):
        load_version("tagger", "ram", "0123456789ab", "cpu", tmp_path)


def test_another_version_is_another_model(tmp_path: Path) -> None:
    """Weights of the same name do not stand in for those the library goes by."""
    home = install_other(tmp_path, "embedder")
    version = identify("embedder", "other", predictors.options("cpu", home, "exact")).version
    install_other(home, "embedder", seed=2)
    with pytest.raises(ModelMissing, match=f"another version .* goes by .{version}"):
        load_version("embedder", "other", version, "cpu", home)


def test_tags_of_ones_own_belong_to_the_version(tmp_path: Path) -> None:
    """A tagger whose set is not on this machine says which is missing."""
    home = install_other(tmp_path, "tagger")
    how = predictors.options("cpu", home, "exact")
    version = f"{identify('tagger', 'other', how).version}+tags.deadbeef"
    with pytest.raises(ModelMissing, match=r"deadbeef.*sightline vocabulary add"):
        load_version("tagger", "other", version, "cpu", home)
