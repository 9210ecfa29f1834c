"""Embedders of OpenCLIP, against a real server in the hub's place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from indexer.errors import DownloadError, UnknownModel
from indexer.model_hub import open_clip_models
from tests.file_server import COMMIT, FileServer, serving

NAME = "ViT-B-32/laion2b_s34b_b79k"
REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
FILE = "open_clip_model.safetensors"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A hub with one model, and an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = f"{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        served.files[f"/{REPOSITORY}/resolve/main/{FILE}"] = b"weights"
        served.facts[f"/api/models/{REPOSITORY}"] = {
            "id": REPOSITORY,
            "sha": COMMIT,
            "siblings": [{"rfilename": FILE, "size": 605_000_000}],
            "cardData": {"license": "mit"},
        }
        yield served


def test_licence_and_size_are_asked_of_the_hub(server: FileServer) -> None:
    """Before anything comes down."""
    known = open_clip_models.facts(open_clip_models.find(NAME))
    assert known == open_clip_models.Facts("mit", 605_000_000)
    assert server.gets(f"/{REPOSITORY}/resolve/main/{FILE}") == []


def test_what_we_know_ourselves_is_not_asked(server: FileServer) -> None:
    """The text tower of RAM's own vocabulary."""
    assert open_clip_models.facts(open_clip_models.find("ViT-B-16/openai")).licence == "MIT"
    assert server.asked == []


def test_a_model_is_fetched_into_the_hubs_cache(server: FileServer, tmp_path: Path) -> None:
    """Where OpenCLIP finds it again."""
    model = open_clip_models.find(NAME)
    assert model.cached is None
    file = open_clip_models.fetch(model)
    assert file.read_bytes() == b"weights"
    assert tmp_path in file.parents
    assert model.cached == file


def test_a_hub_that_knows_nothing(server: FileServer) -> None:
    """Is no reason to fail before the download; the download says how to do without."""
    server.facts.clear()
    model = open_clip_models.find(NAME)
    assert open_clip_models.facts(model) == open_clip_models.Facts()
    with pytest.raises(DownloadError, match=f"cannot be fetched[\\s\\S]*by hand.*{REPOSITORY}"):
        open_clip_models.fetch(model)


@pytest.mark.parametrize(
    ("name", "with_file"),
    [
        ("ViT-B-16/openai", "ViT-B-16-quickgelu/FILE"),
        ("ViT-B-16-quickgelu/openai", "ViT-B-16-quickgelu/FILE"),
        (NAME, "ViT-B-32/FILE"),
    ],
)
def test_weights_from_a_file_keep_their_activation(name: str, with_file: str) -> None:
    """OpenAI's weights under an architecture without quick GELU would give other embeddings, without a word."""
    assert open_clip_models.find(name).with_file == with_file


def test_a_name_nearly_right(server: FileServer) -> None:
    """Suggests the right one."""
    with pytest.raises(UnknownModel, match=NAME):
        open_clip_models.find("ViT-B-32/laion2b_s34b")
