"""RAM: pixels to one logit a tag ("Recognize Anything: A Strong Image Tagging Model", Zhang et al., 2023), and
RAM++, which weighs several descriptions of every tag by the image ("Open-Set Image Tagging with Multi-Grained
Text Supervision", Huang et al., 2023).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.bert import BertConfig
from indexer.modeling.swin import SwinBackbone, SwinConfig
from indexer.modeling.tag_decoder import TagDecoder


@dataclass(frozen=True)
class RamConfig:
    """Shape of one tagger. `descriptions` is 1 for RAM; RAM++ has 51 label embeddings a tag."""

    swin: SwinConfig
    head: BertConfig
    tags: int
    projection: int = 512
    label_width: int = 512
    descriptions: int = 1


@dataclass(frozen=True)
class Labels:
    """All that can be known of a vocabulary before an image is seen.

    With one label embedding a tag (RAM), `projected` (tags, hidden) are the queries. With several (RAM++),
    `described` (tags, D, C) are weighed by the image and `projected` (tags, D, hidden) are summed by those weights:
    projecting the sum, as published, is the same up to rounding.
    """

    projected: Tensor
    bias: Tensor
    described: Tensor | None = None
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.projected)

    def chosen(self, tags: Tensor) -> "Labels":
        """Only the tags of these numbers."""
        described = None if self.described is None else self.described[tags]
        return Labels(self.projected[tags], self.bias, described, self.scale)

    def joined(self, other: "Labels") -> "Labels":
        """These tags, then those of `other`, which come from the same model."""
        described = None
        if self.described is not None and other.described is not None:
            described = torch.cat([self.described, other.described])
        return Labels(torch.cat([self.projected, other.projected]), self.bias, described, self.scale)

    def queries(self, mean_token: Tensor) -> Tensor:
        """(B, C) mean tokens -> (tags, hidden), the same for every image, or (B, tags, hidden)."""
        if self.described is None:
            return F.relu(self.projected + self.bias)
        direction = mean_token / mean_token.norm(dim=-1, keepdim=True)
        scores = torch.matmul(self.described.flatten(0, 1), direction.t() * self.scale)
        weights = scores.unflatten(0, self.described.shape[:2]).softmax(1)  # tags, D, B
        summed = torch.bmm(weights.transpose(1, 2), self.projected)
        return F.relu(summed + self.bias).transpose(0, 1)


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
        self._own_labels: Labels | None = None

    def freeze(self) -> None:
        """Project the model's own labels once, for inference."""
        if self._own_labels is None:
            with torch.inference_mode():
                self._own_labels = self.labels(self.label_embed)

    def own_labels(self) -> Labels:
        """The labels the model was trained with."""
        return self._own_labels or self.labels(self.label_embed)

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """(B, 1 + L, projection), the mean token first."""
        tokens: Tensor = self.image_proj(self.visual_encoder(pixels))
        return tokens

    def labels(self, label_embed: Tensor) -> Labels:
        """(tags * descriptions, label width) embeddings, a tag's descriptions together -> labels to ask for."""
        weight, bias = self.wordvec_proj.weight, self.wordvec_proj.bias
        projected = F.linear(label_embed, weight)
        if self.config.descriptions == 1:
            return Labels(projected, bias)
        shape = (-1, self.config.descriptions)
        scale = float(self.reweight_scale.detach().exp())
        return Labels(projected.unflatten(0, shape), bias, label_embed.unflatten(0, shape), scale)

    def logits(self, image_tokens: Tensor, labels: Labels | None = None, exact: bool = False) -> Tensor:
        """(B, 1 + L, projection) tokens -> (B, tags) of `labels`, or of the model's own.

        Tags do not see each other, so any labels, in any company, get the same answers. `exact` asks for float32.
        """
        labels = labels or self.own_labels()
        answers = self.tagging_head(labels.queries(image_tokens[:, 0]), image_tokens, exact)
        scores: Tensor = self.fc(answers)[..., 0]
        return scores

    def logits_without(self, image_tokens: Tensor, labels: Labels, hidden: Tensor) -> Tensor:
        """(tags, P) logits of one image (1, 1 + L, projection), some of whose tokens are hidden: (P, 1 + L) bool."""
        queries = labels.queries(image_tokens[:, 0]).reshape(len(labels), -1)
        asked = queries.repeat_interleave(len(hidden), 0)
        answers = self.tagging_head.answers_without(asked, image_tokens, hidden.repeat(len(labels), 1))
        scores: Tensor = self.fc(answers)[:, 0]
        return scores.unflatten(0, (len(labels), -1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels to logits."""
        return self.logits(self.image_tokens(pixels))
