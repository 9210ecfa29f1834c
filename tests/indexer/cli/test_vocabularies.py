"""`sightline vocabulary` as a person types it, with a small RAM and a small CLIP of random weights."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from indexer import predictors
from indexer.checkpoints import ModelSpec, save_spec, save_weights, unshared
from indexer.images import InputSpec
from indexer.modeling.ram import Ram, RamConfig
from indexer.open_set import own_tags
from indexer.open_set.prompts import prompts
from indexer.settings import get_settings
from indexer.vocabulary import Vocabulary, save_vocabulary
from tests import released
from tests.indexer.cli.conftest import Run

ARCHITECTURE = "ViT-B-16-quickgelu"
TINY_CLIP = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of installed models: a small RAM, RAM++ and Tag2Text."""
    for family in released.FAMILIES:
        folder = tmp_path / "models" / family
        folder.mkdir(parents=True)
        (folder / "source.json").write_text(json.dumps({"model": family}))
        _write_tagger(family, folder)
    return tmp_path / "models"


def _write_tagger(family: str, folder: Path) -> None:
    if family == "tag2text":
        network = released.network("tag2text")
    else:
        config = RamConfig(
            released.SWIN,
            released.HEAD,
            2,
            projection=16,
            label_width=16,
            descriptions=1 if family == "ram" else 51,
        )
        torch.manual_seed(0)
        network = Ram(config)
    save_weights(unshared(network), folder / "model.safetensors", dtype=None)
    plain = json.loads(json.dumps(network.config, default=vars))
    architecture = "tag2text" if family == "tag2text" else "ram"
    half = (0.5, 0.5, 0.5)
    weights = ("model.safetensors",)
    save_spec(
        ModelSpec("tagger", family, architecture, plain, weights, InputSpec(384), half, half, "x"), folder
    )
    save_vocabulary(Vocabulary(("cat", "Owl"), (0.5, 0.5)), folder / "vocabulary.json")


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text encoder's architecture, shrunk, with weights in a file."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, ARCHITECTURE, TINY_CLIP)
    torch.manual_seed(1)
    model = open_clip.create_model(ARCHITECTURE, pretrained=None)
    save_file(model.state_dict(), tmp_path / "clip.safetensors")
    return f"{ARCHITECTURE}/{tmp_path / 'clip.safetensors'}"


@pytest.fixture
def run(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs `sightline vocabulary ...`; exit status, standard output, standard error."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIGHTLINE_MODELS", str(models))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return partial(typed, "vocabulary")


def written(folder: Path, content: object) -> Path:
    """A file of names."""
    file = folder / "names.txt"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_added_looked_for_and_forgotten(
    run: Run, clip: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file of names to a tagger that knows them, by the setting; and back."""
    file = written(tmp_path, [{"name": "red_panda", "threshold": 0.0}, "owl"])
    status, out, err = run("add", "zoo", file, "--tagger", "ram", "--clip", clip, "--threshold", "0.9")
    assert (status, out) == (0, ""), err
    assert "SIGHTLINE_TAGGER=ram SIGHTLINE_OWN_TAGS=zoo" in err
    assert "ram knows owl already" in err

    monkeypatch.setenv("SIGHTLINE_TAGGER", "ram")
    monkeypatch.setenv("SIGHTLINE_OWN_TAGS", "zoo")
    get_settings.cache_clear()
    (told,) = json.loads(run("list", "--json")[1])
    assert told["tags"] == {"red panda": 0.0, "owl": 0.9}
    assert (told["name"], told["tagger"], told["is_used"], told["file"]) == ("zoo", "ram", True, "names.txt")
    assert "red panda" in run("list")[1]

    settings = get_settings()
    tagger = predictors.load_tagger("ram", "cpu", models, own_tags=settings.own_tag_sets)
    assert tagger.vocabulary.tags == ("cat", "Owl", "red panda", "owl")
    assert tagger.identity.version.endswith(f"+tags.{told['version']}")
    pixels = np.zeros((1, 384, 384, 3), np.uint8)
    assert "red panda" in {score.tag for score in tagger.tag(pixels)[0]}

    status, _, err = run("remove", "zoo")
    assert status == 0
    assert "SIGHTLINE_OWN_TAGS still names zoo" in err
    assert json.loads(run("list", "--json")[1]) == []


def test_embeddings_are_those_of_the_text_encoder(run: Run, clip: str, models: Path, tmp_path: Path) -> None:
    """Computed here once more from the model's own parts."""
    run("add", "zoo", written(tmp_path, "red panda\n"), "--tagger", "ram", "--clip", clip)
    model = open_clip.create_model(ARCHITECTURE, pretrained=clip.partition("/")[2]).eval()
    with torch.inference_mode():
        rows = model.encode_text(open_clip.get_tokenizer(ARCHITECTURE)(prompts("red panda")))
        mean = (rows / rows.norm(dim=-1, keepdim=True)).mean(0)
    stored = own_tags.load(models / "ram", "zoo").label_embed
    assert np.allclose(stored[0], (mean / mean.norm()).numpy(), atol=1e-5)


def test_descriptions_for_ram_plus(run: Run, clip: str, models: Path, tmp_path: Path) -> None:
    """Fifty-one of each tag, kept apart; too long ones are cut, and counted."""
    texts = [f"seen from {number} metres" for number in range(50)] + ["far " * 200]
    file = written(tmp_path, [{"drone": texts}, {"crane": texts}])
    status, _, err = run("add", "sky", file, "--tagger", "ram_plus", "--clip", clip)
    assert status == 0, err
    assert "2 descriptions are longer" in err
    own = own_tags.load(models / "ram_plus", "sky")
    assert own.label_embed.shape == (2 * 51, 16)
    assert np.allclose(np.linalg.norm(own.label_embed, axis=1), 1, atol=1e-5)
    tagger = predictors.load_tagger("ram_plus", "cpu", models, own_tags=["sky"])
    assert tagger.confidences(np.zeros((1, 384, 384, 3), np.uint8)).shape == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "zoo", "FILE"], "'small' are fixed"),
        (["add", "zoo", "FILE", "--tagger", "tag2text"], "'tag2text' are fixed"),
        (["add", "zoo", "FILE", "--tagger", "lion"], "No tagger is called 'lion'"),
        (["add", "zoo", "FILE", "--tagger", "ram_plus"], "51 written descriptions"),
        (["add", "zoo", "FILE", "--tagger", "ram"], "sightline models pull ViT-B-16/openai"),
        (["add", "zoo", "none.txt", "--tagger", "ram"], "cannot be read"),
        (["add", "a/b", "FILE", "--tagger", "ram", "--clip", "CLIP"], "cannot name a set"),
        (["add", "zoo", "FILE", "--tagger", "ram", "--clip", "ViT-B-32/openai"], "was trained with"),
        (["remove", "zoo", "--tagger", "ram"], "There are: none"),
    ],
)
def test_what_cannot_be_is_explained(
    run: Run, clip: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """In one line, with the next step; and nothing is left behind."""
    given = {"FILE": str(written(tmp_path, "drone\n")), "CLIP": clip}
    status, out, err = run(*(given.get(argument, argument) for argument in arguments))
    assert (status, out) == (1, "")
    assert message in err
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.slow
def test_the_real_architecture(tmp_path: Path) -> None:
    """ViT-B/16 as OpenAI trained it, quick GELU included: our way through it is its plain computation."""
    torch.manual_seed(2)
    model = open_clip.create_model(ARCHITECTURE, pretrained=None).eval()
    save_file(model.state_dict(), tmp_path / "clip.safetensors")
    texts = prompts("red panda")[:8]
    with torch.inference_mode():
        rows = _plain_text_tower(model, open_clip.get_tokenizer(ARCHITECTURE)(texts))
    encoder = predictors.load_embedder(f"{ARCHITECTURE}/{tmp_path / 'clip.safetensors'}")
    assert encoder.dimension == 512
    expected = (rows / rows.norm(dim=-1, keepdim=True)).numpy()
    assert np.allclose(encoder.embed_texts(texts), expected, atol=1e-5)


def _plain_text_tower(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """CLIP's text transformer, step by step: pre-norm blocks, causal, the state at the end token projected."""
    weights = model.state_dict()
    hidden = weights["token_embedding.weight"][ids] + weights["positional_embedding"]
    length, width = hidden.shape[1:]
    mask = torch.full((length, length), -torch.inf).triu(1)

    def normed(key: str, states: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(
            states, (width,), weights[f"{key}.weight"], weights[f"{key}.bias"]
        )

    for number in range(12):
        block = f"transformer.resblocks.{number}"
        states = normed(f"{block}.ln_1", hidden)
        qkv = states @ weights[f"{block}.attn.in_proj_weight"].t() + weights[f"{block}.attn.in_proj_bias"]
        query, key, value = (part.unflatten(-1, (8, 64)).transpose(1, 2) for part in qkv.chunk(3, -1))
        mixed = (query @ key.transpose(-1, -2) / 8 + mask).softmax(-1) @ value
        mixed = mixed.transpose(1, 2).flatten(2)
        hidden = hidden + mixed @ weights[f"{block}.attn.out_proj.weight"].t()
        hidden = hidden + weights[f"{block}.attn.out_proj.bias"]
        states = normed(f"{block}.ln_2", hidden) @ weights[f"{block}.mlp.c_fc.weight"].t()
        states = states + weights[f"{block}.mlp.c_fc.bias"]
        states = states * torch.sigmoid(1.702 * states)  # quick GELU
        hidden = hidden + states @ weights[f"{block}.mlp.c_proj.weight"].t()
        hidden = hidden + weights[f"{block}.mlp.c_proj.bias"]
    ends = normed("ln_final", hidden)[torch.arange(len(ids)), ids.argmax(-1)]
    return ends @ weights["text_projection"]
