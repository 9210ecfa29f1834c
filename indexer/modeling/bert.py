"""Text blocks shared by the tagging heads, the tag encoder and the caption decoder.

Post-norm BERT layers ("BERT", Devlin et al., NAACL 2019) whose self-attention, cross-attention or both may be
present. Attribute names are those of the released RAM and Tag2Text checkpoints.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from indexer.modeling.linear import Linear

MASKED = -10000.0  # added to scores of padding; the released models were trained with this, not with -inf


@dataclass(frozen=True)
class BertConfig:
    """Shape of one stack. `context` is the width cross-attention reads, 0 for none."""

    hidden: int
    heads: int
    intermediate: int
    layers: int
    context: int = 0
    self_attention: bool = True
    vocabulary: int = 0
    positions: int = 512
    eps: float = 1e-12
    dropout: float = 0.1


@dataclass
class LayerCache:
    """Keys and values one decoder layer has already computed, each (B, heads, tokens, head width)."""

    own: tuple[Tensor, Tensor] | None = None
    context: tuple[Tensor, Tensor] | None = None


@dataclass
class DecoderCache:
    """One `LayerCache` a layer. Context entries hold one row per image, own entries one row per beam."""

    layers: list[LayerCache] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens decoded so far."""
        own = self.layers[0].own if self.layers else None
        return own[0].shape[2] if own else 0

    def reorder(self, rows: Tensor) -> None:
        """Keep these beams, in this order."""
        for layer in self.layers:
            if layer.own is not None:
                layer.own = (layer.own[0][rows], layer.own[1][rows])


class Projections(nn.Module):
    """Query, key and value projections; keys and values read `context` wide tokens."""

    def __init__(self, config: BertConfig, context: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = Linear(config.hidden, config.hidden)
        self.key = Linear(context, config.hidden)
        self.value = Linear(context, config.hidden)

    def split(self, tokens: Tensor) -> Tensor:
        """(B, T, hidden) -> (B, heads, T, hidden / heads)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def key_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Both, split into heads."""
        return self.split(self.key(context)), self.split(self.value(context))

    def forward(self, hidden: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """Attend. `hidden` may have several rows (beams) for each row of the keys and values."""
        keys, values = keys_values
        rows = keys.shape[0]
        query = self.split(self.query(hidden).reshape(rows, -1, hidden.shape[-1]))
        mask = mask.to(query.dtype) if mask is not None else None
        attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return attended.transpose(1, 2).reshape(hidden.shape)


class Residual(nn.Module):
    """Dense, dropout, add, LayerNorm."""

    def __init__(self, config: BertConfig, width: int) -> None:
        super().__init__()
        self.dense = Linear(width, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, update: Tensor, hidden: Tensor) -> Tensor:
        """LN(hidden + dense(update))."""
        return self.LayerNorm(hidden + self.dropout(self.dense(update)))


class Attention(nn.Module):
    """Multi-head attention with its residual."""

    def __init__(self, config: BertConfig, context: int) -> None:
        super().__init__()
        self.self = Projections(config, context)
        self.output = Residual(config, config.hidden)

    def forward(
        self, hidden: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """LN(hidden + attention)."""
        return self.output(self.self(hidden, keys_values, mask), hidden)


class Intermediate(nn.Module):
    """Dense and exact GELU."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden, config.intermediate)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., hidden) -> (..., intermediate)."""
        fed: Tensor = self.dense(hidden, "gelu")
        return fed


class Layer(nn.Module):
    """Self-attention and cross-attention, where the configuration has them, then the feed-forward block."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        if config.self_attention:
            self.attention = Attention(config, config.hidden)
        if config.context:
            self.crossattention = Attention(config, config.context)
        self.intermediate = Intermediate(config)
        self.output = Residual(config, config.intermediate)
        self._has = (config.self_attention, bool(config.context))

    def _attend_self(self, hidden: Tensor, mask: Tensor | None, cache: LayerCache | None) -> Tensor:
        own = self.attention.self.key_values(hidden)
        if cache is not None:
            if cache.own is not None:
                own = (torch.cat([cache.own[0], own[0]], 2), torch.cat([cache.own[1], own[1]], 2))
            cache.own = own
        attended: Tensor = self.attention(hidden, own, mask)
        return attended

    def _attend_context(self, hidden: Tensor, context: Tensor | None, cache: LayerCache | None) -> Tensor:
        known = cache.context if cache is not None else None
        if known is None:
            assert context is not None, "cross-attention needs tokens to read"
            known = self.crossattention.self.key_values(context)
            if cache is not None:
                cache.context = known
        attended: Tensor = self.crossattention(hidden, known)
        return attended

    def forward(
        self,
        hidden: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """(B, T, hidden) -> the same; `context` (B, L, context); `mask` is added to self-attention scores."""
        if self._has[0]:
            hidden = self._attend_self(hidden, mask, cache)
        if self._has[1]:
            hidden = self._attend_context(hidden, context, cache)
        fed: Tensor = self.output(self.intermediate(hidden), hidden)
        return fed


class Encoder(nn.Module):
    """A stack of layers."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def layers(self) -> Iterator[Layer]:
        """The layers, bottom up."""
        return (layer for layer in self.layer if isinstance(layer, Layer))

    def forward(
        self,
        hidden: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Run every layer."""
        for number, layer in enumerate(self.layer):
            hidden = layer(hidden, context, mask, cache.layers[number] if cache is not None else None)
        return hidden


class Embeddings(nn.Module):
    """Word and position embeddings, LayerNorm. No token types."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.hidden)
        self.position_embeddings = nn.Embedding(config.positions, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """(B, T) token ids at positions from `start` -> (B, T, hidden)."""
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        embedded = self.word_embeddings(ids) + self.position_embeddings(positions)
        normed: Tensor = self.dropout(self.LayerNorm(embedded))
        return normed


class TextEncoder(nn.Module):
    """Token ids to hidden states, reading an image (or other tokens) by cross-attention where configured."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, ids: Tensor, attention_mask: Tensor, context: Tensor | None = None) -> Tensor:
        """`ids` and `attention_mask` (1 on real tokens) are (B, T) -> (B, T, hidden), bidirectional."""
        hidden = self.embeddings(ids)
        mask = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * MASKED
        encoded: Tensor = self.encoder(hidden, context, mask)
        return encoded


class Transform(nn.Module):
    """Dense, GELU, LayerNorm before the vocabulary."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., hidden) -> the same."""
        transformed: Tensor = self.LayerNorm(self.dense(hidden, "gelu"))
        return transformed


class Predictions(nn.Module):
    """Hidden states to vocabulary logits."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        """`words` (V, hidden) are the input embeddings, tied -> (..., V)."""
        return F.linear(self.transform(hidden), words, self.bias)


class VocabularyHead(nn.Module):
    """Holds the predictions under their published name."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.predictions = Predictions(config)


class TextDecoder(nn.Module):
    """Left-to-right language model that reads `context` tokens by cross-attention."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = TextEncoder(config)
        self.cls = VocabularyHead(config)
        self._layers = config.layers
        self._words: Linear | None = None

    def freeze(self) -> None:
        """The tied vocabulary as a layer of its own, for inference, so that it can be converted like the others."""
        if self._words is None:
            words, bias = self.bert.embeddings.word_embeddings.weight, self.cls.predictions.bias
            self._words = Linear(words.shape[1], words.shape[0], device="meta")
            self._words.weight, self._words.bias = words, bias

    def new_cache(self) -> DecoderCache:
        """An empty cache for one batch of captions."""
        return DecoderCache([LayerCache() for _ in range(self._layers)])

    def hidden(self, ids: Tensor, context: Tensor | None, cache: DecoderCache | None = None) -> Tensor:
        """States of (B, T) next tokens. With a filled cache only the new tokens are given."""
        start = cache.length if cache is not None else 0
        hidden = self.bert.embeddings(ids, start)
        shape = (ids.shape[1], start + ids.shape[1])
        mask = torch.full(shape, MASKED, dtype=hidden.dtype, device=ids.device).triu(start + 1)
        states: Tensor = self.bert.encoder(hidden, context, mask if ids.shape[1] > 1 else None, cache)
        return states

    def logits(self, states: Tensor) -> Tensor:
        """(..., hidden) -> (..., V)."""
        if self._words is not None:
            return self._words(self.cls.predictions.transform(states))
        scores: Tensor = self.cls.predictions(states, self.bert.embeddings.word_embeddings.weight)
        return scores
