"""The bundled models' shapes, and writing them: one shared backbone file, one file of heads and one JSON each."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from indexer.checkpoints import ModelSpec, save_spec, save_weights, unshared
from indexer.images import InputSpec
from indexer.modeling.bert import BertConfig
from indexer.modeling.clip import DualEncoderConfig
from indexer.modeling.ram import RamConfig
from indexer.modeling.tag2text import Tag2TextConfig
from indexer.modeling.wordpiece import WordPiece
from indexer.published import Kind
from indexer.training.distill import BACKBONE, MEAN, STD
from indexer.vocabulary import Vocabulary, save_vocabulary

TOKENS_FILE, BACKBONE_FILE = "wordpiece.txt", "backbone.safetensors"
BACKBONE_PREFIX = "visual_encoder."
LICENCE = "Trained on Flickr8k (non-commercial research) and CC0 clothing photos: see MODEL_CARD.md"


def ram_config(tags: int) -> RamConfig:
    """The small tagger."""
    head = BertConfig(hidden=128, heads=4, intermediate=256, layers=2, context=256, self_attention=False)
    return RamConfig(BACKBONE, head, tags, projection=256, label_width=128)


def tag2text_config(tags: int, tokens: WordPiece) -> Tag2TextConfig:
    """The small captioner."""
    head = BertConfig(192, 4, 512, layers=2, context=BACKBONE.width, self_attention=False)
    tag_encoder = BertConfig(192, 6, 512, 2, context=BACKBONE.width, vocabulary=len(tokens), positions=48)
    decoder = BertConfig(192, 6, 512, 3, context=192, vocabulary=len(tokens), positions=48)
    prompt = (tokens.decode_begin,)
    return Tag2TextConfig(BACKBONE, head, tag_encoder, decoder, tags, prompt, tokens.end, tag_tokens=32)


def dual_encoder_config(tokens: WordPiece) -> DualEncoderConfig:
    """The small embedder."""
    pool = BertConfig(256, 4, 512, layers=1, context=BACKBONE.width, self_attention=False)
    text = BertConfig(256, 4, 512, layers=2, vocabulary=len(tokens), positions=48)
    return DualEncoderConfig(BACKBONE, pool, text, dimension=256, queries=2, text_tokens=40)


def spec_for(kind: Kind, architecture: str, config: Any, **more: Any) -> ModelSpec:
    """The metadata of one small model."""
    return ModelSpec(
        kind=kind,
        name="small",
        architecture=architecture,
        config=dataclasses.asdict(config),
        weights=(BACKBONE_FILE, f"{kind}.safetensors"),
        input=InputSpec(BACKBONE.image_size, "squash", "bilinear"),
        mean=MEAN,
        std=STD,
        licence=LICENCE,
        **more,
    )


def export_backbone(backbone: Mapping[str, Tensor], folder: Path) -> None:
    """Write the shared backbone."""
    save_weights({BACKBONE_PREFIX + key: value for key, value in backbone.items()}, folder / BACKBONE_FILE)


def export_model(
    network: nn.Module, spec: ModelSpec, folder: Path, vocabulary: Vocabulary | None = None
) -> None:
    """Write everything of a model but its backbone."""
    heads = {key: value for key, value in unshared(network).items() if not key.startswith(BACKBONE_PREFIX)}
    save_weights(heads, folder / f"{spec.kind}.safetensors")
    if vocabulary is not None:
        save_vocabulary(vocabulary, folder / f"{spec.kind}_vocabulary.json")
    save_spec(spec, folder)
