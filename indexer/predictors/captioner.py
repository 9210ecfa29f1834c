"""Captioner: pixels and tags to a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from indexer.checkpoints import Calibration
from indexer.errors import ConfigurationError
from indexer.images import InputSpec
from indexer.modeling.beam import BeamConfig
from indexer.modeling.inference import weight_count
from indexer.modeling.sampling import Sampling
from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.vision import Eyes, check_pixels
from indexer.stage_clock import stage
from indexer.vocabulary import Vocabulary

SEARCH = BeamConfig(beams=3, max_length=24, min_length=5)


@dataclass(frozen=True)
class TagControl:
    """Which tags guide a caption: those `given` (any words), then those `recognised` in the image unless that is
    switched off, less those `rejected`.
    """

    given: tuple[str, ...] = ()
    recognised: bool = True
    rejected: tuple[str, ...] = ()

    def check(self, vocabulary: Vocabulary) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: a tag both given and rejected.
            UnknownTag: a rejected tag the vocabulary does not know, so that rejecting it could do nothing.
        """
        rejected = {vocabulary.find(tag) for tag in self.rejected}
        for tag in self.given:
            if tag in vocabulary and vocabulary.find(tag) in rejected:
                raise ConfigurationError(f"{tag!r} is both given and rejected: decide for one")

    def guides(self, recognised: Sequence[str], vocabulary: Vocabulary) -> list[str]:
        """Given tags first and as they were written, so that a list too long loses recognised ones."""
        named = {vocabulary.find(tag) for tag in (*self.given, *self.rejected) if tag in vocabulary}
        return [*self.given, *(tag for tag in recognised if tag not in named)]


@dataclass(frozen=True)
class CaptionCandidate:
    """One caption. `log_probability` is the natural logarithm of how probable the model holds it word for word, its
    end included (e^-5 is one in 148); `score`, what candidates are ranked by, allows for its length.
    """

    text: str
    log_probability: float
    score: float


@dataclass(frozen=True)
class GuidedCaptions:
    """The captions of one image, best first (drawn ones as they were drawn), and the tags that guided them.

    `unread` are tags that were meant to and for which the model's forty tokens had no room.
    """

    tags: tuple[str, ...]
    unread: tuple[str, ...]
    candidates: tuple[CaptionCandidate, ...]


class Captioner:
    """Sentences about an image, guided by tags."""

    def __init__(
        self,
        network: Tag2Text,
        eyes: Eyes,
        identity: ModelIdentity,
        spec: InputSpec,
        vocabulary: Vocabulary,
        tokenizer: WordPiece,
        calibration: Calibration,
        search: BeamConfig = SEARCH,
    ) -> None:
        self.identity = identity
        self.input = spec
        self.vocabulary = vocabulary
        self.search = search
        self._calibration = calibration
        self._tokenizer = tokenizer
        self._network = network
        self._eyes = eyes

    @property
    def weight_count(self) -> int:
        """Numbers in the network's weights, the backbone's included."""
        return weight_count(self._network)

    @torch.inference_mode()
    def caption(self, pixels: np.ndarray, tags: Sequence[Sequence[str]] | None = None) -> list[str]:
        """One caption an image, without a final full stop or capital.

        Args:
            pixels: (B, S, S, 3) uint8 RGB, S and fit as in `input`.
            tags: what each image shows, any words; None to be guided by the tags recognised here.
        """
        check_pixels(pixels, self.input)
        if tags is not None and len(tags) != len(pixels):
            raise ValueError(f"{len(pixels)} images but {len(tags)} tag lists: give one list an image")
        if not len(pixels):
            return []
        tokens = self._eyes.tokens(pixels)
        guides = self._recognised(tokens) if tags is None else tags
        return [found[0].text for found in self._captioned(tokens, guides, self.search, None)]

    @torch.inference_mode()
    def captions(
        self,
        pixels: np.ndarray,
        control: TagControl | None = None,
        candidates: int = 1,
        sampling: Sampling | None = None,
    ) -> list[GuidedCaptions]:
        """Several captions an image, and which tags guided them.

        Args:
            pixels: (B, S, S, 3) uint8 RGB, S and fit as in `input`.
            control: which tags, the same for all images; None for those recognised here.
            candidates: how many captions an image, at least 1. More than the search has beams widen it, which can
                find a better first one too.
            sampling: draw them in this way; None to search for the best.

        Raises:
            ConfigurationError: no candidates asked for, or a tag both given and rejected.
            UnknownTag: a rejected tag the vocabulary does not know.
        """
        check_pixels(pixels, self.input)
        if candidates < 1:
            raise ConfigurationError(f"{candidates} captions an image are none: ask for 1 or more")
        control = control or TagControl()
        control.check(self.vocabulary)
        if not len(pixels):
            return []
        tokens = self._eyes.tokens(pixels)
        recognised = self._recognised(tokens) if control.recognised else [[] for _ in pixels]
        guides = [control.guides(tags, self.vocabulary) for tags in recognised]
        search = replace(self.search, beams=max(self.search.beams, candidates))
        found = self._captioned(
            tokens, guides, search, replace(sampling, samples=candidates) if sampling else None
        )
        return [
            GuidedCaptions(*self._read(tags), tuple(best[:candidates]))
            for tags, best in zip(guides, found, strict=True)
        ]

    def _captioned(
        self, tokens: Tensor, guides: Sequence[Sequence[str]], search: BeamConfig, sampling: Sampling | None
    ) -> list[list[CaptionCandidate]]:
        with stage("caption"):
            ids, mask = self._tag_ids(guides, tokens.device)
            encoded = self._network.encode_tags(ids, mask, tokens)
            found = self._network.caption_candidates(encoded, search, sampling)
        return [
            [CaptionCandidate(self._text(one.ids), one.log_probability, one.score) for one in candidates]
            for candidates in found
        ]

    def _text(self, ids: Sequence[int]) -> str:
        """The words behind the prompt's. They are cut from the whole text, as by the released models: a word piece or
        an apostrophe right behind the prompt joins its last word.
        """
        prompt = self._tokenizer.decode(self._network.config.prompt)
        return self._tokenizer.decode(ids)[len(prompt) + 1 if prompt else 0 :]

    def _read(self, tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tags that are read to their end, and those for which there was no room."""
        room = self._network.config.tag_tokens - 2  # less what begins and ends the text
        lengths = [len(self._tokenizer.encode(tag)) + 1 for tag in tags]  # with the bar behind it
        ends = list(accumulate(lengths))
        fitting = sum(end - 1 <= room for end in ends)
        return tuple(tags[:fitting]), tuple(tags[fitting:])

    def _recognised(self, image_tokens: Tensor) -> list[list[str]]:
        """Every image's tags over their thresholds in vocabulary order, as the network was trained to read them."""
        with stage("tag"):
            logits = self._network.tag_logits(image_tokens).float()
            scaled = logits * self._calibration.scale + self._calibration.bias
            confidences = torch.sigmoid(scaled).cpu().numpy()
        thresholds = np.asarray(self.vocabulary.thresholds, np.float32)
        return [[self.vocabulary.tags[n] for n in np.flatnonzero(row > thresholds)] for row in confidences]

    def _tag_ids(self, tags: Sequence[Sequence[str]], device: torch.device) -> tuple[Tensor, Tensor]:
        tokenizer, length = self._tokenizer, self._network.config.tag_tokens
        rows = [tokenizer.encode_padded(" | ".join(row), length, tokenizer.encode_begin) for row in tags]
        ids, masks = zip(*rows, strict=True)
        return torch.tensor(ids, device=device), torch.tensor(masks, device=device)
