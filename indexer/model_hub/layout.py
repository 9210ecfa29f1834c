"""From the names and shapes of a released checkpoint to those of our networks.

Every tensor of the file is used, or left out for a reason that is named, or the file is refused with a list of what
differs. Sizes are read off the tensors, so a checkpoint of other sizes needs no configuration file; only the numbers
of attention heads of the text blocks leave no trace in a checkpoint.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from indexer.errors import CheckpointError
from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import RamConfig
from indexer.modeling.swin import SwinConfig
from indexer.modeling.tag2text import Tag2TextConfig
from indexer.published import MODELS, TAG2TEXT_END, TAG2TEXT_PROMPT, Family

HEAD_HEADS, TEXT_HEADS = 4, 12
RAM_PLUS_DESCRIPTIONS = 51
_MANY_TAGS = 1000  # label embeddings of more than this many times 51 are descriptions, not tags
_SIZES = {12: 384, 7: 224}  # window -> side of the image, the two the released code knows
_PATCH = "visual_encoder.patch_embed.proj.weight"
_LAYER = "encoder.layer."
_SHOWN = 3

_RECOMPUTED = "computed again from the sizes"
_UNUSED = "trained beside the tagger, of no use for tagging"
_ASKED = "left out because you asked for it"
_TWICE = "stored a second time; the copies are equal"
_LEFT_OUT: dict[str, tuple[str, tuple[Family, ...]]] = {
    r"visual_encoder\..*\.(relative_position_index|attn_mask)": (
        _RECOMPUTED,
        ("ram", "ram_plus", "tag2text"),
    ),
    r".*\.position_ids": (_RECOMPUTED, ("ram", "ram_plus", "tag2text")),
    r"(tag_encoder|text_decoder)\..*": (_UNUSED, ("ram", "ram_plus")),
}
# Second name of a tensor -> the name it is kept under.
_TIED = {
    r"tag_encoder\.(encoder\.layer\.[01]\.(?:crossattention|intermediate|output)\..*)": r"tagging_head.\1",
    r"text_decoder\.cls\.predictions\.decoder\.weight": "text_decoder.bert.embeddings.word_embeddings.weight",
    r"text_decoder\.cls\.predictions\.decoder\.bias": "text_decoder.cls.predictions.bias",
}


@dataclass(frozen=True)
class Converted:
    """One checkpoint under our names. `left_out` maps a reason to the released names it holds for."""

    family: Family
    config: RamConfig | Tag2TextConfig
    tensors: Mapping[str, Tensor]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """Which of our networks it is."""
        return "tag2text" if self.family == "tag2text" else "ram"

    @property
    def bytes(self) -> int:
        """Size in float32."""
        return sum(4 * value.numel() for value in self.tensors.values())


def convert(
    state: Mapping[str, Tensor], expected: Family | None = None, ignored: Sequence[str] = ()
) -> Converted:
    """Recognise the model and bring its tensors under our names; nothing is copied.

    Args:
        state: a released state dict.
        expected: which model it should be; None to be told.
        ignored: beginnings of released names to leave out because somebody who knows them says so.

    Raises:
        CheckpointError: none of the models, another one than expected, or tensors that contradict each other.
    """
    named = {_own_name(key): value for key, value in state.items()}
    family = _family(named, expected)
    kept, left_out = _without_needless(named, family)
    asked = tuple(key for key in kept if key.startswith(tuple(ignored)))
    kept = {key: value for key, value in kept.items() if key not in set(asked)}
    left_out |= {_ASKED: asked} if asked else {}
    if family == "tag2text":
        kept, second = _each_once(kept)
        left_out |= {_TWICE: second} if second else {}
    notes = []
    if family == "ram_plus" and "reweight_scale" not in kept:
        kept["reweight_scale"] = torch.tensor(math.log(1 / 0.07))
        notes.append("The file has no reweight_scale: ln(1/0.07) is used, where its training started.")
    _check_numbers(kept)
    try:
        config = _tag2text(kept) if family == "tag2text" else _ram(kept, family)
    except KeyError as error:
        raise CheckpointError(
            f"The file looks like {family} but has no {error.args[0]}: it is incomplete"
        ) from error
    return Converted(family, config, kept, left_out, tuple(notes))


def _own_name(key: str) -> str:
    """Released name -> ours: the head had another name, and timm puts a downsample at the next stage's start."""
    key = re.sub(r"^vision_multi\.", "tagging_head.", key)
    return re.sub(
        r"^(visual_encoder\.layers\.)(\d+)(\.downsample\.)",
        lambda found: f"{found[1]}{int(found[2]) + 1}{found[3]}",
        key,
    )


def _family(named: Mapping[str, Tensor], expected: Family | None) -> Family:
    found: Family | None = None
    if _PATCH in named and "fc.W" in named:
        found = "tag2text"
    elif _PATCH in named and "label_embed" in named and "fc.weight" in named:
        found = "ram_plus" if _is_described(named, expected) else "ram"
    if found is None:
        first = ", ".join(list(named)[:_SHOWN])
        raise CheckpointError(
            f"This is no RAM, RAM++ or Tag2Text checkpoint: its tensors are called {first} and so on. The published"
            f" files are {', '.join(model.file for model in MODELS.values() if model.tags)}."
        )
    if expected is not None and found != expected:
        raise CheckpointError(
            f"This is {found}, not {expected}: import it as `--name {found}`, or without --name."
        )
    return found


def _is_described(named: Mapping[str, Tensor], expected: Family | None) -> bool:
    rows = len(named["label_embed"])
    divisible = rows % RAM_PLUS_DESCRIPTIONS == 0
    if "reweight_scale" in named and not divisible:
        raise CheckpointError(
            f"label_embed has {rows} rows, which is no multiple of the {RAM_PLUS_DESCRIPTIONS} descriptions RAM++"
            " has of each tag: the file is not the released RAM++."
        )
    is_long = rows > RAM_PLUS_DESCRIPTIONS * _MANY_TAGS
    return "reweight_scale" in named or (divisible and (is_long or expected == "ram_plus"))


def _without_needless(
    named: Mapping[str, Tensor], family: Family
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """What is used, and reason -> names of what is not."""
    reasons: dict[str, list[str]] = {}
    kept = dict(named)
    for pattern, (reason, families) in _LEFT_OUT.items():
        if family in families:
            names = [key for key in kept if re.fullmatch(pattern, key)]
            reasons.setdefault(reason, []).extend(names)
            kept = {key: value for key, value in kept.items() if key not in set(names)}
    return kept, {reason: tuple(names) for reason, names in reasons.items() if names}


def _each_once(named: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tied tensors under one name, and the names dropped; a file with only the second copy is fine too.

    Raises:
        CheckpointError: two copies that differ, so that one of them must be wrong.
    """
    kept, dropped = dict(named), []
    for key, value in named.items():
        pattern = next((pattern for pattern in _TIED if re.fullmatch(pattern, key)), None)
        if pattern is None:
            continue
        owner = re.sub(pattern, _TIED[pattern], key)
        first = kept.setdefault(owner, value)
        if first.shape != value.shape or not torch.equal(first, value):
            raise CheckpointError(
                f"{key} and {owner} are one tensor in Tag2Text, but differ in this file: it is damaged or was"
                " changed. Download it again."
            )
        dropped.append(key)
        del kept[key]
    return kept, tuple(dropped)


def _check_numbers(tensors: Mapping[str, Tensor]) -> None:
    # aminmax passes NaN on and, unlike isfinite, makes no copy of a tensor of half a gigabyte.
    extremes = {key: torch.stack(value.aminmax()) for key, value in tensors.items() if value.numel()}
    broken = [key for key, pair in extremes.items() if not bool(pair.isfinite().all())]
    if broken:
        raise CheckpointError(
            f"{', '.join(broken[:_SHOWN])} hold values that are no numbers (NaN or infinite): the file is damaged."
            " Download it again."
        )


def _ram(tensors: Mapping[str, Tensor], family: Family) -> RamConfig:
    rows, label_width = tensors["label_embed"].shape
    descriptions = RAM_PLUS_DESCRIPTIONS if family == "ram_plus" else 1
    return RamConfig(
        _swin(tensors),
        _blocks(tensors, "tagging_head.", HEAD_HEADS, self_attention=False),
        tags=rows // descriptions,
        projection=len(tensors["image_proj.weight"]),
        label_width=label_width,
        descriptions=descriptions,
    )


def _tag2text(tensors: Mapping[str, Tensor]) -> Tag2TextConfig:
    return Tag2TextConfig(
        _swin(tensors),
        _blocks(tensors, "tagging_head.", HEAD_HEADS, self_attention=False),
        _blocks(tensors, "tag_encoder.", TEXT_HEADS),
        _blocks(tensors, "text_decoder.bert.", TEXT_HEADS),
        tags=tensors["fc.W"].shape[1],
        prompt=TAG2TEXT_PROMPT,
        end=TAG2TEXT_END,
    )


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers follow the prefix in the names."""
    return len({key.removeprefix(prefix).split(".")[0] for key in tensors if key.startswith(prefix)})


def _swin(tensors: Mapping[str, Tensor]) -> SwinConfig:
    prefix = "visual_encoder.layers."
    stages = range(_count(tensors, prefix))
    tables = [tensors[f"{prefix}{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages]
    if not tables:
        raise KeyError(f"{prefix}*")
    window = (math.isqrt(len(tables[0])) + 1) // 2
    if window not in _SIZES:
        raise CheckpointError(
            f"Its attention windows are {window} tokens wide; the released models have 12 (384 pixel images) or 7"
            " (224): this is another network."
        )
    return SwinConfig(
        image_size=_SIZES[window],
        patch_size=tensors[_PATCH].shape[-1],
        embed_dim=len(tensors[_PATCH]),
        depths=tuple(_count(tensors, f"{prefix}{stage}.blocks.") for stage in stages),
        num_heads=tuple(table.shape[1] for table in tables),
        window_size=window,
    )


def _blocks(
    tensors: Mapping[str, Tensor], prefix: str, heads: int, self_attention: bool = True
) -> BertConfig:
    """The shape of one stack of text blocks, whose layers may lie with the tagging head that shares them."""
    layers = _count(tensors, f"{prefix}{_LAYER}")
    last = f"{prefix}{_LAYER}{layers - 1}"
    words = tensors.get(f"{prefix}embeddings.word_embeddings.weight")
    positions = tensors.get(f"{prefix}embeddings.position_embeddings.weight")
    return BertConfig(
        hidden=len(tensors[f"{last}.crossattention.self.query.weight"]),
        heads=heads,
        intermediate=len(tensors[f"{last}.intermediate.dense.weight"]),
        layers=layers,
        context=tensors[f"{last}.crossattention.self.key.weight"].shape[1],
        self_attention=self_attention,
        vocabulary=0 if words is None else len(words),
        positions=512 if positions is None else len(positions),
    )
