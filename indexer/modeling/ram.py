"""RAM: pixels to one logit a tag ("Recognize Anything: A Strong Image Tagging Model", Zhang et al., 2023), and
RAM++, which weighs several descriptions of every tag by the image ("Open-Set Image Tagging with Multi-Grained
Text Supervision", Huang et al., 2023).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.bert import BertConfig, TagDecoder
from indexer.modeling.swin import SwinBackbone, SwinConfig


@dataclass(frozen=True)
class RamConfig:
    """Shape of one tagger. `descriptions` is 1 for RAM; RAM++ has 51 label embeddings a tag."""

    swin: SwinConfig
    head: BertConfig
    tags: int
    projection: int = 512
    label_width: int = 512
    descriptions: int = 1


class Ram(nn.Module):
    """Normalised pixels (B, 3, S, S) -> logits (B, tags)."""

    def __init__(self, config: RamConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = SwinBackbone(config.swin)
        self.image_proj = nn.Linear(config.swin.width, config.projection)
        self.label_embed = nn.Parameter(torch.zeros(config.tags * config.descriptions, config.label_width))
        self.wordvec_proj = nn.Linear(config.label_width, config.head.hidden)
        self.tagging_head = TagDecoder(config.head)
        self.fc = nn.Linear(config.head.hidden, 1)
        if config.descriptions > 1:
            self.reweight_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(B, 1 + L, projection), the mean token first."""
        tokens: Tensor = self.image_proj(self.visual_encoder(pixels))
        return tokens

    def label_queries(self, image_tokens: Tensor) -> Tensor:
        """(1 or B, tags, hidden): the same for every image in RAM, re-weighted by the image in RAM++."""
        is_described = self.config.descriptions > 1
        labels = self._reweighted(image_tokens[:, 0]) if is_described else self.label_embed
        queries = F.relu(self.wordvec_proj(labels))
        return queries if queries.dim() == 3 else queries[None]

    def _reweighted(self, mean_token: Tensor) -> Tensor:
        """Softmax-weighted sum of every tag's descriptions, by their similarity to the (B, C) mean token."""
        described = self.label_embed.unflatten(0, (-1, self.config.descriptions))  # tags, D, C
        direction = mean_token / mean_token.norm(dim=-1, keepdim=True)
        scores = self.reweight_scale.exp() * torch.einsum("bc,tdc->tbd", direction, described)
        return torch.bmm(scores.softmax(-1), described).transpose(0, 1)

    def logits(self, image_tokens: Tensor, tags: Tensor | None = None) -> Tensor:
        """(B, 1 + L, projection) tokens -> (B, tags); only of the tag numbers `tags`, where given: the queries do
        not see each other, so any subset gets the same answers.
        """
        queries = self.label_queries(image_tokens)
        if tags is not None:
            queries = queries[:, tags]
        answers = self.tagging_head(queries.expand(len(image_tokens), -1, -1), image_tokens)
        scores: Tensor = self.fc(answers)[..., 0]
        return scores

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels to logits."""
        return self.logits(self.image_tokens(pixels))
