"""Image-text dual encoders: the small one of ours, and any published OpenCLIP model behind the same two calls.

Contrastive training as in CLIP ("Learning Transferable Visual Models From Natural Language Supervision", Radford
et al., ICML 2021).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.bert import BertConfig, TextEncoder
from indexer.modeling.swin import SwinBackbone, SwinConfig
from indexer.modeling.tag_decoder import TagDecoder


@dataclass(frozen=True)
class DualEncoderConfig:
    """Shape of the small dual encoder. `pool` reads the image tokens with `queries` learned queries."""

    swin: SwinConfig
    pool: BertConfig
    text: BertConfig
    dimension: int
    queries: int = 1
    text_tokens: int = 40


class DualEncoder(nn.Module):
    """Images and texts to L2-normalised (B, dimension) embeddings."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = SwinBackbone(config.swin)
        self.image_queries = nn.Parameter(torch.empty(config.queries, config.pool.hidden))
        nn.init.normal_(self.image_queries, std=0.02)
        self.image_pool = TagDecoder(config.pool)
        self.image_proj = nn.Linear(config.swin.width + config.queries * config.pool.hidden, config.dimension)
        self.text_encoder = TextEncoder(config.text)
        self.text_proj = nn.Linear(config.text.hidden, config.dimension)
        self.logit_scale = nn.Parameter(torch.tensor(2.66))

    def embed_tokens(self, image_tokens: Tensor) -> Tensor:
        """(B, 1 + L, width) backbone tokens -> embeddings."""
        pooled = self.image_pool(self.image_queries.expand(len(image_tokens), -1, -1), image_tokens)
        features = torch.cat([image_tokens[:, 0], pooled.flatten(1)], 1)
        return F.normalize(self.image_proj(features).float(), dim=-1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Normalised (B, 3, S, S) pixels -> embeddings."""
        return self.embed_tokens(self.visual_encoder(pixels))

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T) ids, mask 1 on real tokens -> embeddings: the mean state of the real tokens, projected."""
        states = self.text_encoder(ids, attention_mask)
        weights = attention_mask[..., None].to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        return F.normalize(self.text_proj(mean).float(), dim=-1)


class OpenClip(nn.Module):
    """A published OpenCLIP model with its own tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Normalised pixels -> embeddings."""
        return F.normalize(self.model.encode_image(pixels).float(), dim=-1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Token ids of the model's own tokenizer -> embeddings."""
        return F.normalize(self.model.encode_text(ids).float(), dim=-1)
