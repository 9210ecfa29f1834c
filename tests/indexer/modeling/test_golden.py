"""Networks against what the official code answered, on a shrunken checkpoint any rule-follower can refill."""

import json
from typing import Any, Literal

import numpy as np
import pytest
import torch

from indexer.checkpoints import load_strictly, unshared
from indexer.modeling.beam import BeamConfig
from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import Ram, RamConfig
from indexer.modeling.swin import SwinConfig
from indexer.modeling.tag2text import Tag2Text, Tag2TextConfig
from indexer.modeling.wordpiece import WordPiece
from tests.golden import GOLDEN, TINY, Model, needs_golden, own_weights, pixels, search_of

pytestmark = needs_golden

SWIN = SwinConfig(384, 4, 16, (2, 2, 4, 2), (2, 2, 4, 4), 12)
IMAGES = ("photo", "grad_rgb", "shapes_rgba", "noise_l")


def filled(network: torch.nn.Module, model: Model) -> Any:
    """The network with the rule's weights; every one of its keys must be in the official list."""
    load_strictly(network, own_weights(model, set(unshared(network)), tiny=True))
    return network.eval()


@pytest.fixture(scope="module")
def tag2text() -> Tag2Text:
    shape: dict[str, Any] = {"hidden": 48, "intermediate": 96, "vocabulary": 30524}
    config = Tag2TextConfig(
        SWIN,
        BertConfig(48, 4, 96, layers=2, context=128, self_attention=False),
        BertConfig(heads=12, layers=3, context=128, **shape),
        BertConfig(heads=12, layers=3, context=48, **shape),
        tags=3429,
        prompt=(30522, 1037, 3861, 1997),
        end=102,
    )
    network: Tag2Text = filled(Tag2Text(config), "tag2text")
    return network


@pytest.mark.parametrize(("model", "descriptions"), [("ram", 1), ("ram_plus", 51)])
@pytest.mark.parametrize("image", IMAGES)
def test_ram_logits(model: Model, descriptions: int, image: str) -> None:
    """RAM and RAM++ give the official logits to float32 accuracy."""
    head = BertConfig(48, 4, 96, layers=2, context=512, self_attention=False)
    network = filled(Ram(RamConfig(SWIN, head, 100, descriptions=descriptions)), model)
    with np.load(TINY / f"{model}.npz") as golden, torch.inference_mode():
        expected = golden[f"{image}.logits"].reshape(-1)
        assert np.abs(network(pixels(image))[0].numpy() - expected).max() < 1e-4 * expected.std()


@pytest.mark.parametrize("image", IMAGES)
def test_tag2text_tags(tag2text: Tag2Text, image: str) -> None:
    """Tag2Text's head gives the official logits."""
    with np.load(TINY / "tag2text.npz") as golden, torch.inference_mode():
        expected = golden[f"{image}.logits"].reshape(-1)
        own = tag2text.tag_logits(tag2text.visual_encoder(pixels(image)))[0].numpy()
        assert np.abs(own - expected).max() < 1e-4 * expected.std()


@pytest.mark.parametrize("normalisation", ["prompt", "generated"])
@pytest.mark.parametrize("image", IMAGES)
def test_tag2text_captions(
    tag2text: Tag2Text, image: str, normalisation: Literal["prompt", "generated"]
) -> None:
    """Every golden caption, beam and greedy, under both length normalisations, token for token."""
    tokenizer = WordPiece.load(GOLDEN / "data" / "bert-base-uncased-vocab.txt")
    captions = json.loads((TINY / "tag2text.json").read_text())["captions"][image]
    newer = json.loads((TINY / "tag2text_beam_new_scoring.json").read_text())["captions"][image]
    with torch.inference_mode():
        tokens = tag2text.visual_encoder(pixels(image))
        for setting, recorded in captions.items():
            expected = recorded if normalisation == "prompt" else newer.get(setting, {})
            if "ids" not in expected or recorded["kw"].get("do_sample"):
                continue
            tags = recorded["tags"].replace(",", " | ")
            ids, mask = tokenizer.encode_padded(tags, 40, tokenizer.encode_begin)
            encoded = tag2text.encode_tags(torch.tensor([ids]), torch.tensor([mask]), tokens)
            found, score = tag2text.caption_ids(encoded, search_of(recorded["kw"], normalisation))[0]
            assert found == expected["ids"], setting
            if expected["score"] is not None:
                assert score == pytest.approx(expected["score"], abs=1e-4)


def test_batch_equals_single(tag2text: Tag2Text) -> None:
    """Four images captioned together get what each gets alone."""
    search = BeamConfig(beams=3, max_length=20)
    with torch.inference_mode():
        tokens = tag2text.visual_encoder(torch.cat([pixels(image) for image in IMAGES]))
        ids, mask = torch.full((4, 40), 5), torch.ones(4, 40)
        encoded = tag2text.encode_tags(ids, mask, tokens)
        together = tag2text.caption_ids(encoded, search)
        alone = [tag2text.caption_ids(encoded[n : n + 1], search)[0] for n in range(4)]
    assert [found for found, _ in together] == [found for found, _ in alone]


def test_tokenizer_ids() -> None:
    """The tag strings of the golden data become the official forty ids."""
    tokenizer = WordPiece.load(GOLDEN / "data" / "bert-base-uncased-vocab.txt")
    golden = json.loads((TINY / "tag2text.json").read_text())
    assert tokenizer.encode_begin == 30523
    for image in IMAGES:
        ids, mask = tokenizer.encode_padded(golden["tags"][image], 40, tokenizer.encode_begin)
        assert ids == golden["enc_ids"][image]["ids"]
        assert mask == golden["enc_ids"][image]["mask"]
