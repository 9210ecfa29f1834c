"""Released names and shapes into ours: everything has its place, a reason, or is listed."""

import math

import pytest
import torch
from torch import Tensor

from indexer.checkpoints import check_fits, unshared
from indexer.errors import CheckpointError
from indexer.model_hub.layout import convert
from indexer.modeling.swin import SwinConfig
from indexer.published import Family
from tests.released import FAMILIES, HEAD, SWIN, TAGS, network, released_state

QUERY = "encoder.layer.0.crossattention.self.query.weight"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_finds_its_place(family: Family) -> None:
    """Recognised without a name; sizes and values are the network's own."""
    original = network(family)
    converted = convert(released_state(family))
    assert converted.family == family
    assert converted.config == original.config
    expected = unshared(original)
    assert converted.tensors.keys() == expected.keys()
    assert all(torch.equal(converted.tensors[key], value) for key, value in expected.items())


def test_what_is_left_out_has_a_reason() -> None:
    """Buffers that follow from the sizes; in RAM the captioner it was trained with; second copies in Tag2Text."""
    ram = convert(released_state("ram")).left_out
    assert ram["trained beside the tagger, of no use for tagging"] == ("text_decoder.cls.predictions.bias",)
    assert "visual_encoder.layers.2.blocks.1.attn_mask" in ram["computed again from the sizes"]
    twice = convert(released_state("tag2text")).left_out["stored a second time; the copies are equal"]
    assert f"tag_encoder.{QUERY}" in twice
    assert "text_decoder.cls.predictions.decoder.weight" in twice


def test_the_heads_older_name() -> None:
    """vision_multi became tagging_head."""
    state = {
        key.replace("tagging_head.", "vision_multi."): value for key, value in released_state("ram").items()
    }
    assert f"tagging_head.{QUERY}" in convert(state).tensors


def test_a_head_only_the_tag_encoder_has() -> None:
    """Tag2Text files may hold the shared layers under that name alone."""
    whole = released_state("tag2text")
    state = {key: value for key, value in whole.items() if not key.startswith("tagging_head.")}
    converted = convert(state)
    assert torch.equal(converted.tensors[f"tagging_head.{QUERY}"], whole[f"tagging_head.{QUERY}"])
    assert converted.config == convert(whole).config


def test_copies_that_differ_are_refused() -> None:
    """One of them must be wrong."""
    state = released_state("tag2text")
    state[f"tag_encoder.{QUERY}"] = state[f"tag_encoder.{QUERY}"] + 1
    with pytest.raises(
        CheckpointError, match=f"tag_encoder.{QUERY} and tagging_head.{QUERY}.*Download it again"
    ):
        convert(state)


def test_a_missing_scale_of_the_descriptions_is_what_training_started_from() -> None:
    """And said so; the name or the number of rows tells that it is RAM++."""
    state = released_state("ram_plus")
    del state["reweight_scale"]
    converted = convert(state, "ram_plus")
    assert converted.tensors["reweight_scale"].item() == pytest.approx(math.log(1 / 0.07))
    assert "reweight_scale" in converted.notes[0]
    state["label_embed"] = torch.zeros(51 * 2000, 12)
    assert convert(state).family == "ram_plus"


@pytest.mark.parametrize(
    ("given", "expected"), [("ram", "tag2text"), ("tag2text", "ram"), ("ram_plus", "ram")]
)
def test_another_model_than_the_name_says(given: Family, expected: Family) -> None:
    """Which it is, and what to type."""
    with pytest.raises(CheckpointError, match=f"This is {given}, not {expected}.*--name {given}"):
        convert(released_state(given), expected)


def test_another_network_altogether() -> None:
    """A ResNet: its first tensors and the files that would do are named."""
    names = ("conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight", "fc.weight", "fc.bias")
    with pytest.raises(CheckpointError, match=r"no RAM.*conv1.weight.*ram_swin_large_14m.pth"):
        convert({name: torch.ones(4, 4) for name in names})


def test_the_224_pixel_checkpoints_are_taken_for_what_they_are() -> None:
    """Their windows are seven tokens wide."""
    swin = SwinConfig(224, 4, 8, (1, 1, 2, 1), (1, 1, 2, 2), 7)
    config = convert(released_state("ram", swin)).config
    assert (config.swin.image_size, config.swin.window_size) == (224, 7)


def test_windows_of_another_network() -> None:
    """Neither 12 nor 7."""
    swin = SwinConfig(256, 4, 8, (1, 1, 2, 1), (1, 1, 2, 2), 8)
    with pytest.raises(CheckpointError, match=r"8 tokens wide.*another network"):
        convert(released_state("ram", swin))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_proj.weight": None}, "no image_proj.weight"),
        ({"visual_encoder.patch_embed.proj.weight": None}, "no RAM"),
        ({"label_embed": torch.full((TAGS, 12), torch.nan)}, "label_embed hold values that are no numbers"),
        ({"label_embed": torch.zeros(TAGS, 12), "reweight_scale": torch.ones(())}, "no multiple of the 51"),
    ],
)
def test_incomplete_and_damaged(change: dict[str, Tensor | None], complaint: str) -> None:
    """Each with the tensor it is about."""
    state = {**released_state("ram"), **change}
    with pytest.raises(CheckpointError, match=complaint):
        convert({key: value for key, value in state.items() if value is not None})


def test_tensors_one_asks_to_leave_out() -> None:
    """Named by how they begin; the reason is kept."""
    state = {**released_state("ram"), "momentum_encoder.weight": torch.ones(1)}
    converted = convert(state, ignored=["momentum_"])
    assert converted.left_out["left out because you asked for it"] == ("momentum_encoder.weight",)
    check_fits(network("ram"), converted.tensors)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("visual_encoder.norm.bias", None, "missing visual_encoder.norm.bias"),
        ("momentum_encoder.weight", torch.ones(1), "unexpected momentum_encoder.weight"),
        ("fc.weight", torch.ones(2, HEAD.hidden), r"fc.weight is \(2, 24\), not \(1, 24\)"),
    ],
)
def test_what_differs_is_listed(key: str, value: Tensor | None, complaint: str) -> None:
    """By the strict comparison with the network, key for key."""
    state = {**released_state("ram"), key: value}
    converted = convert({name: one for name, one in state.items() if one is not None})
    with pytest.raises(CheckpointError, match=complaint):
        check_fits(network("ram", SWIN), converted.tensors)
