"""Captioner: pixels and tags to a sentence."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from indexer.checkpoints import Calibration
from indexer.images import InputSpec
from indexer.modeling.beam import BeamConfig
from indexer.modeling.tag2text import Tag2Text
from indexer.modeling.wordpiece import WordPiece
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.vision import Eyes, check_pixels
from indexer.stage_clock import stage
from indexer.vocabulary import Vocabulary

SEARCH = BeamConfig(beams=3, max_length=24, min_length=5)


class Captioner:
    """One sentence an image, guided by tags."""

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
        with stage("caption"):
            ids, mask = self._tag_ids(guides, tokens.device)
            encoded = self._network.encode_tags(ids, mask, tokens)
            captions = self._network.caption_ids(encoded, self.search)
        prompt = len(self._network.config.prompt)
        return [self._tokenizer.decode(caption[prompt:]) for caption, _ in captions]

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
