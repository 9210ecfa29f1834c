"""Small checkpoints in the layout RAM, RAM++ and Tag2Text are released in, made of our own networks with random
weights, and the lists that belong to them. Nothing but this project is needed.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from indexer.checkpoints import unshared
from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import Ram, RamConfig
from indexer.modeling.swin import SwinConfig
from indexer.modeling.tag2text import Tag2Text, Tag2TextConfig
from indexer.published import MODELS, Family

Network = TypeVar("Network", bound=nn.Module)
FAMILIES: tuple[Family, ...] = ("ram", "ram_plus", "tag2text")
TAGS, PIECES, WIDTH = 7, 40, 24
SWIN = SwinConfig(384, 4, 8, (1, 1, 2, 1), (1, 1, 2, 2), 12)
HEAD = BertConfig(WIDTH, 4, 32, layers=2, context=16, self_attention=False)


def network(family: Family, swin: SwinConfig = SWIN) -> Ram | Tag2Text:
    """One of our networks, small, with random weights that depend on nothing but the family."""
    torch.manual_seed(FAMILIES.index(family))
    if family != "tag2text":
        is_plus = family == "ram_plus"  # it compares images with descriptions, so they must be equally wide
        config = RamConfig(
            swin,
            HEAD,
            TAGS,
            projection=16,
            label_width=16 if is_plus else 12,
            descriptions=51 if is_plus else 1,
        )
        return _shaken(Ram(config))
    head = BertConfig(WIDTH, 4, 32, layers=2, context=swin.width, self_attention=False)
    text = {"hidden": WIDTH, "heads": 12, "intermediate": 32, "layers": 3, "vocabulary": PIECES + 2}
    return _shaken(
        Tag2Text(
            Tag2TextConfig(
                swin,
                head,
                BertConfig(**text, context=swin.width, positions=64),  # type: ignore[arg-type]
                BertConfig(**text, context=WIDTH, positions=64),  # type: ignore[arg-type]
                tags=TAGS,
                prompt=(30522, 1037, 3861, 1997),
                end=102,
            )
        )
    )


def _shaken(module: Network) -> Network:
    """No weight left at zero or one, so that one out of place is noticed."""
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    return module.eval()


def released_state(family: Family, swin: SwinConfig = SWIN) -> dict[str, Tensor]:
    """The network's tensors under their released names, with the buffers and second copies released files have."""
    state = {_released_name(key): value.detach() for key, value in unshared(network(family, swin)).items()}
    side = swin.window_size**2
    state["visual_encoder.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(side, side).long()
    state["visual_encoder.layers.2.blocks.1.attn_mask"] = torch.zeros(4, side, side)
    if family == "ram":
        state["tag_encoder.embeddings.position_ids"] = torch.arange(64)[None]
        state["text_decoder.cls.predictions.bias"] = torch.zeros(PIECES)
    if family == "tag2text":
        state |= _second_copies(state)
    return state


def _released_name(key: str) -> str:
    return re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", key)


def _second_copies(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    shared = {
        key.replace("tagging_head", "tag_encoder", 1): value
        for key, value in state.items()
        if key.startswith("tagging_head.")
    }
    decoder = "text_decoder.cls.predictions.decoder"
    return shared | {
        f"{decoder}.weight": state["text_decoder.bert.embeddings.word_embeddings.weight"],
        f"{decoder}.bias": state["text_decoder.cls.predictions.bias"],
    }


def write_released(
    family: Family, file: Path, changed: Mapping[str, Tensor | None] | None = None, **others: object
) -> Path:
    """Write a checkpoint as the released ones are, with optimizer state; returns `file`.

    Args:
        changed: tensors in place of, or beside, the network's; None leaves one out.
        others: what else lies beside the weights.
    """
    state = {**released_state(family), **(changed or {})}
    kept = {key: value for key, value in state.items() if value is not None}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(1000)}}, "param_groups": []}
    torch.save(
        {"model": kept, "optimizer": optimizer, "epoch": 4, "config": {"image_size": 384}, **others}, file
    )
    return file


def write_lists(family: Family, folder: Path) -> Path:
    """Tags, thresholds, Chinese names and word pieces for the checkpoint above; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = MODELS[family]
    assert model.tags is not None
    (folder / model.tags.name).write_text("\n".join(f"tag {number}" for number in range(TAGS)))
    if model.thresholds is not None:
        (folder / model.thresholds.name).write_text("\n".join(f"0.{number + 1}" for number in range(TAGS)))
    for language, names in model.names.items():
        (folder / names.name).write_text("".join(f"{language} {number} \n" for number in range(TAGS)))
    if model.tokenizer is not None:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        pieces = special + [f"word{number}" for number in range(PIECES - len(special))]
        (folder / model.tokenizer.name).write_text("\n".join(pieces) + "\n")
    return folder
