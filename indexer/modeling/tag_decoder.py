"""The tagging head of RAM and Tag2Text: tags ask the image, and never each other.

This is the decoder of "Query2Label" (Liu et al., 2021) less its self-attention, so any subset of the tags, in any
order, gets the same logits as all of them together.
"""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from indexer.modeling.bert import Attention, BertConfig, Encoder, Layer
from indexer.modeling.linear import Linear

CPU_ANSWERS = 2**22  # measured: as many numbers as one image's answers of RAM; more leave the cache


@dataclass(frozen=True)
class AbsorbedAttention:
    """Cross-attention with the query and output projections multiplied into the image's few keys and values.

    There are thousands of tags and 145 image tokens: x Wq . k = x . (k Wq), and (P V) Wo = P (V Wo), so projecting
    the keys and values instead of every tag saves a third of the products, and leaves two large ones. float32.
    A few tags are better projected themselves, see `pays`.
    """

    query: Tensor  # (heads, head width, hidden), divided by the square root of the head width
    query_bias: Tensor  # (heads, head width), likewise
    output: Tensor  # (heads, head width, hidden)
    output_bias: Tensor  # (hidden,)

    @classmethod
    def of(cls, attention: Attention) -> "AbsorbedAttention":
        """Rearranged copies of the layer's weights."""
        own, heads = attention.self, attention.self.heads
        scale = (own.query.out_features / heads) ** -0.5
        query = own.query.weight.detach().float().unflatten(0, (heads, -1)) * scale
        bias = own.query.bias.detach().float().unflatten(0, (heads, -1)) * scale
        output = attention.output.dense.weight.detach().float().t().unflatten(0, (heads, -1)).contiguous()
        return cls(query, bias, output, attention.output.dense.bias.detach().float())

    def pays(self, tags: int, tokens: int) -> bool:
        """Whether this takes fewer products than projecting `tags` queries and answers for `tokens` image tokens."""
        heads, _, hidden = self.query.shape
        return tags * (hidden - (heads - 1) * tokens) > tokens * hidden

    def keys(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """(B, heads, T, head width) -> (B, heads * T, hidden), and what each adds to its scores, (B, heads * T)."""
        absorbed = torch.matmul(keys, self.query).flatten(1, 2)
        return absorbed, torch.matmul(keys, self.query_bias[..., None]).flatten(1)

    def values(self, values: Tensor) -> Tensor:
        """(B, heads, T, head width) -> (B, heads * T, hidden)."""
        return torch.matmul(values, self.output).flatten(1, 2)


class TagDecoder(nn.Module):
    """Tag queries to answers, by cross-attention to the image's tokens and feed-forward blocks."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self._absorbed: list[AbsorbedAttention] = []
        self._exact: list[TagDecoder] = []  # in a list, so that it is not a part of this module

    def keep_exact(self) -> None:
        """Before conversion to a faster type: keep a float32 copy, for tags that are asked again."""
        if not self._exact:
            copy = deepcopy(self)
            copy.freeze()
            for layer in copy.modules():
                if isinstance(layer, Linear):
                    layer.convert(torch.float32)
            self._exact = [copy]

    def freeze(self) -> None:
        """Rearrange the weights for inference; later changes of them are not seen."""
        if not self._absorbed:
            self._absorbed = [AbsorbedAttention.of(layer.crossattention) for layer in self.encoder.layers()]

    def forward(self, queries: Tensor, image_tokens: Tensor, exact: bool = False) -> Tensor:
        """(tags, hidden) queries, or (B, tags, hidden), and (B, L, context) tokens -> (B, tags, hidden).

        `exact` asks for float32 throughout, whatever this decoder was converted to.
        """
        if exact and self._exact:
            kept: Tensor = self._exact[0](queries, image_tokens)
            return kept
        tags, hidden = queries.shape[-2:]
        shared = queries.expand(len(image_tokens), -1, -1)
        if not self._absorbed or not self._absorbed[0].pays(tags, image_tokens.shape[1]):
            answers: Tensor = self.encoder(shared, image_tokens)
            return answers
        if image_tokens.device.type != "cpu":
            return self._answers(queries, image_tokens)
        # A few images at a time: what thousands of tags make of them then stays in the processor's cache.
        size = max(CPU_ANSWERS // (tags * hidden), 1)
        if queries.dim() == 2:
            return torch.cat([self._answers(queries, images) for images in image_tokens.split(size)])
        pairs = zip(queries.split(size), image_tokens.split(size), strict=True)
        return torch.cat([self._answers(*pair) for pair in pairs])

    def answers_without(self, queries: Tensor, image_tokens: Tensor, hidden: Tensor) -> Tensor:
        """(N, hidden) answers to queries that may not look at some of one image's tokens.

        What they then answer otherwise is what those tokens told them: attention knockout ("Dissecting Recall of
        Factual Associations in Auto-Regressive Language Models", Geva et al., EMNLP 2023).

        Args:
            queries: (N, hidden).
            image_tokens: (1, T, context).
            hidden: (N, T) bool; at least one token must be left to each.

        In float32, whatever this decoder was converted to: differences are small.
        """
        if self._exact:
            return self._exact[0].answers_without(queries, image_tokens, hidden)
        layers = list(self.encoder.layers())
        every = self._absorbed or [AbsorbedAttention.of(layer.crossattention) for layer in layers]
        for absorbed, layer in zip(every, layers, strict=True):
            scores = _scores(layer, absorbed, queries, image_tokens)
            looks = scores.masked_fill(hidden[None, :, None], -torch.inf).softmax(-1)
            queries = _answered(layer, absorbed, queries, image_tokens, looks)[0]
        return queries

    def _answers(self, queries: Tensor, image_tokens: Tensor) -> Tensor:
        for absorbed, layer in zip(self._absorbed, self.encoder.layers(), strict=True):
            looks = _scores(layer, absorbed, queries, image_tokens).softmax(-1)
            queries = _answered(layer, absorbed, queries, image_tokens, looks)
        return queries


def _scores(layer: Layer, absorbed: AbsorbedAttention, queries: Tensor, image_tokens: Tensor) -> Tensor:
    """How much each tag would look at each token: (B, tags, heads, T) float32, to be made probabilities over T."""
    own = layer.crossattention.self
    keys, offsets = absorbed.keys(own.split(own.key(image_tokens)).float())
    if queries.dim() == 2:  # the same for every image: one product for all of them
        scores = torch.addmm(offsets.flatten(), queries, keys.flatten(0, 1).t())
        scores = scores.unflatten(-1, (len(image_tokens), -1)).transpose(0, 1)
    else:
        scores = torch.baddbmm(offsets[:, None], queries, keys.transpose(1, 2))
    return scores.unflatten(-1, (own.heads, -1))


def _answered(
    layer: Layer, absorbed: AbsorbedAttention, queries: Tensor, image_tokens: Tensor, looks: Tensor
) -> Tensor:
    own, looks = layer.crossattention.self, looks.flatten(-2)
    values = own.value(image_tokens)
    absorbed_values = absorbed.values(own.split(values).float()).to(values.dtype)
    mixed = torch.bmm(looks.to(values.dtype), absorbed_values) + absorbed.output_bias
    seen = layer.crossattention.output.LayerNorm(queries + mixed)
    answers: Tensor = layer.output(layer.intermediate(seen), seen)
    return answers
