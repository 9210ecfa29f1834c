"""What is known of published models."""

import re

import pytest

from indexer.published import MODELS, PublishedModel, SideFile

SIDE_FILES = {one.name: one for model in MODELS.values() for one in model.side_files}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_model_is_described_whole(model: PublishedModel) -> None:
    """Purpose, licence, sizes, an address; a digest for what is not OpenCLIP's to check."""
    assert all((model.kinds, model.summary, model.licence, model.homepage))
    assert 0 < model.installed_bytes <= model.download_bytes
    assert model.urls[0].startswith("https://huggingface.co/")
    assert "/" in model.name or re.fullmatch("[0-9a-f]{64}", model.sha256 or "")


@pytest.mark.parametrize("side_file", SIDE_FILES.values(), ids=lambda side_file: side_file.name)
def test_side_files_are_pinned(side_file: SideFile) -> None:
    """To a commit, and to their content."""
    assert re.search("/[0-9a-f]{40}/", side_file.url)
    assert re.fullmatch("[0-9a-f]{64}", side_file.sha256)
    assert 0 < side_file.bytes < 10**6


def test_models_are_found_by_their_own_name() -> None:
    """As people type it."""
    assert [name for name, model in MODELS.items() if name != model.name] == []
