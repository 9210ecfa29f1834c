"""Tag2Text: pixels to tags, and pixels with tags to a caption ("Tag2Text: Guiding Vision-Language Model via Image
Tagging", Huang et al., ICLR 2024).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from indexer.modeling.beam import BeamConfig, Candidate, beam_search, greedy_search
from indexer.modeling.bert import BertConfig, DecoderCache, TextDecoder, TextEncoder
from indexer.modeling.sampling import Sampling, sample
from indexer.modeling.swin import SwinBackbone, SwinConfig
from indexer.modeling.tag_decoder import TagDecoder


@dataclass(frozen=True)
class Tag2TextConfig:
    """Shape of one captioner and the token ids its texts are built from."""

    swin: SwinConfig
    head: BertConfig
    tag_encoder: BertConfig
    decoder: BertConfig
    tags: int
    prompt: tuple[int, ...]
    end: int
    tag_tokens: int = 40


class TagClassifier(nn.Module):
    """One weight row and bias a tag."""

    def __init__(self, tags: int, hidden: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(1, tags, hidden))
        self.b = nn.Parameter(torch.zeros(1, tags))

    def forward(self, answers: Tensor, tags: Tensor | slice) -> Tensor:
        """(B, chosen tags, hidden) -> (B, chosen tags)."""
        return (self.W[:, tags] * answers).sum(-1) + self.b[:, tags]


class Tag2Text(nn.Module):
    """Recognises tags, reads them together with the image, and decodes a caption."""

    def __init__(self, config: Tag2TextConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder = SwinBackbone(config.swin)
        self.tag_encoder = TextEncoder(config.tag_encoder)
        self.text_decoder = TextDecoder(config.decoder)
        self.tagging_head = TagDecoder(config.head)
        self.label_embed = nn.Embedding(config.tags, config.head.hidden)
        self.fc = TagClassifier(config.tags, config.head.hidden)
        self._share_head()

    def _share_head(self) -> None:
        """The tag encoder's first layers use the head's cross-attention and feed-forward weights, with their own
        number of attention heads.
        """
        shared = zip(self.tagging_head.encoder.layers(), self.tag_encoder.encoder.layers(), strict=False)
        for head, layer in shared:
            for name in ("query", "key", "value"):
                setattr(layer.crossattention.self, name, getattr(head.crossattention.self, name))
            layer.crossattention.output = head.crossattention.output
            layer.intermediate, layer.output = head.intermediate, head.output

    def tag_logits(self, image_tokens: Tensor, tags: Tensor | None = None, exact: bool = False) -> Tensor:
        """(B, 1 + L, C) tokens -> (B, tags), or only of the tag numbers `tags`: queries do not see each other."""
        chosen = slice(None) if tags is None else tags
        answers = self.tagging_head(self.label_embed.weight[chosen], image_tokens, exact)
        logits: Tensor = self.fc(answers, chosen)
        return logits

    def logits_without(self, image_tokens: Tensor, tags: Tensor, hidden: Tensor) -> Tensor:
        """(tags, P) logits of one image (1, 1 + L, C), some of whose tokens are hidden: (P, 1 + L) bool."""
        asked = tags.repeat_interleave(len(hidden))
        answers = self.tagging_head.answers_without(
            self.label_embed.weight[asked], image_tokens, hidden.repeat(len(tags), 1)
        )
        logits: Tensor = self.fc(answers[None], asked)[0]
        return logits.unflatten(0, (len(tags), -1))

    def encode_tags(self, ids: Tensor, attention_mask: Tensor, image_tokens: Tensor) -> Tensor:
        """(B, T) tag text ids with their mask, and the image -> (B, T, hidden) for the decoder."""
        encoded: Tensor = self.tag_encoder(ids, attention_mask, image_tokens)
        return encoded

    def caption_candidates(
        self, encoded_tags: Tensor, search: BeamConfig, sampling: Sampling | None = None
    ) -> list[list[Candidate]]:
        """Captions of every row of (B, T, hidden) tags, best first: as many as beams at most, or as samples."""
        decoder, cache = self.text_decoder, self.text_decoder.new_cache()

        def step(new_ids: Tensor, kept_rows: Tensor | None) -> Tensor:
            return _next_logits(decoder, cache, encoded_tags, new_ids, kept_rows)

        prompt, end, images = list(self.config.prompt), self.config.end, len(encoded_tags)
        if sampling is not None:
            return sample(step, search, sampling, prompt, end, images)
        run = greedy_search if search.beams == 1 else beam_search
        return run(step, search, prompt, end, images)

    def caption_ids(self, encoded_tags: Tensor, search: BeamConfig) -> list[tuple[list[int], float]]:
        """Token ids (prompt and end included) and score of the best caption a row of (B, T, hidden) tags."""
        found = self.caption_candidates(encoded_tags, search)
        return [(candidates[0].ids, candidates[0].score) for candidates in found]


def _next_logits(
    decoder: TextDecoder, cache: DecoderCache, context: Tensor, new_ids: Tensor, kept_rows: Tensor | None
) -> Tensor:
    """(rows, V) logits after the last of `new_ids`, the cache first reduced to the kept beams."""
    if kept_rows is not None:
        cache.reorder(kept_rows.to(context.device))
    states = decoder.hidden(new_ids.to(context.device), context, cache)
    return decoder.logits(states[:, -1])
