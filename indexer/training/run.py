"""`sightline train`: from photos and captions to the bundled files, stage by stage."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from indexer.checkpoints import Calibration, ModelSpec
from indexer.modeling.wordpiece import WordPiece
from indexer.training import text
from indexer.training.captioner import CaptionerRun, CaptionerSettings, Sentences
from indexer.training.data import Photo, held_out, pack_pixels, training_photos
from indexer.training.distill import DistillSettings, Labels, distill
from indexer.training.embedder import Captions, EmbedderRun, EmbedderSettings
from indexer.training.export import TOKENS_FILE, export_backbone, export_model, spec_for
from indexer.training.features import Features, cache_features, frozen_backbone
from indexer.training.loop import save_atomically
from indexer.training.tagger import (
    TaggerSettings,
    all_logits,
    choose_thresholds,
    fit_calibration,
    train_tagger,
)
from indexer.training.teacher import TEACHER_FILE, TargetFiles, cache_targets
from indexer.training.views import ViewPlan
from indexer.vocabulary import Vocabulary

ALIASES = {
    "people": "person",
    "kid": "child",
    "bike": "bicycle",
    "puppy": "dog",
    "lady": "woman",
    "guy": "man",
    "soccer": "soccer ball",
    "tee": "t-shirt",
    "long sleeve": "longsleeve",
    "outerwear": "outwear",
    "trousers": "pants",
}


@dataclass(frozen=True)
class Settings:
    """Every number that decides the outcome; stored beside the weights."""

    seed: int = 0
    held_out: float = 0.05
    tag_examples: int = 12
    plain_views: int = 8
    mixed_views: int = 4
    feature_views: int = 5
    precision_floor: float = 0.4
    guide_threshold: float = 0.15  # a guide may be wrong: the decoder also looks, and more guides say more
    backbone: DistillSettings = field(default_factory=DistillSettings)
    tagger: TaggerSettings = field(default_factory=TaggerSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    captioner: CaptionerSettings = field(default_factory=CaptionerSettings)

    def seeded(self, seed: int) -> "Settings":
        """The same with this seed everywhere."""
        names = ("backbone", "tagger", "embedder", "captioner")
        stages = {name: dataclasses.replace(getattr(self, name), seed=seed) for name in names}
        return dataclasses.replace(self, seed=seed, **stages)


class Training:
    """Each stage finds its result in the work folder or makes it."""

    def __init__(
        self, data: Path, out: Path, work: Path, settings: Settings, report: Callable[[str], None]
    ) -> None:
        self.data, self.out, self.work = data, out, work
        self.settings, self.report = settings, report
        self.plan = ViewPlan(settings.seed, settings.plain_views, settings.mixed_views)
        for folder in (out, work):
            folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def photos(self) -> list[Photo]:
        """Every training photo."""
        return training_photos(self.data)

    @cached_property
    def pixels(self) -> np.ndarray:
        """(N, 192, 192, 3) uint8."""
        return pack_pixels(self.photos, self.work / "pixels.npy")

    @cached_property
    def held(self) -> np.ndarray:
        """Photo numbers kept back for calibration."""
        return np.flatnonzero(held_out(self.photos, self.settings.held_out, self.settings.seed))

    @cached_property
    def chosen(self) -> np.ndarray:
        """Photo numbers that train."""
        return np.setdiff1d(np.arange(len(self.photos)), self.held)

    @cached_property
    def clothing(self) -> list[str]:
        """The clothing classes."""
        return sorted({photo.category for photo in self.photos if photo.category})

    @cached_property
    def tags(self) -> list[str]:
        """The vocabulary: tags people's captions agree on often enough, and the clothing classes."""
        found = text.frequent_tags([photo.caption_tags for photo in self.photos], self.settings.tag_examples)
        return sorted({*found, *self.clothing})

    @cached_property
    def labels(self) -> Labels:
        """Tags and bags of words of every photo."""
        return Labels(self.photos, self.tags, self.clothing)

    @cached_property
    def captions(self) -> list[list[str]]:
        """Tidied captions of every photo, in its order."""
        return [[text.tidy(caption) for caption in photo.captions] for photo in self.photos]

    @cached_property
    def language(self) -> list[list[str]]:
        """Captions without photos: Flickr30k's, and those of the photos that train."""
        described = [self.captions[photo] for photo in self.chosen if self.captions[photo]]
        return text.read_captions(self.data) + described

    @cached_property
    def tokenizer(self) -> WordPiece:
        """The small vocabulary of tokens."""
        file = self.out / TOKENS_FILE
        if not file.exists():
            text.write_vocabulary((caption for captions in self.language for caption in captions), file)
        return WordPiece.load(file)

    def targets(self) -> TargetFiles:
        """The teacher's answers."""
        pixels_file = self.work / "pixels.npy"
        assert len(self.pixels)
        folder = self.work / "teacher"
        return cache_targets(self.data / TEACHER_FILE, pixels_file, folder, self.plan, 2, self.report)

    @cached_property
    def backbone(self) -> Mapping[str, Tensor]:
        """Distilled weights."""
        finished = distill(
            self.pixels,
            self.chosen,
            self.labels,
            self.targets(),
            self.plan,
            self.work,
            self.settings.backbone,
            self.report,
        )
        weights: Mapping[str, Tensor] = torch.load(finished, weights_only=True)["backbone"]
        return weights

    @cached_property
    def features(self) -> Features:
        """Tokens of the frozen backbone."""
        network = frozen_backbone(self.backbone)
        file = self.work / "features.npy"
        return cache_features(network, self.pixels, self.plan, self.settings.feature_views, file, self.report)

    def _stage(self, name: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        file = self.work / f"{name}.pt"
        if not file.exists():
            save_atomically(dict(make()), file)
        loaded: dict[str, Tensor] = torch.load(file, weights_only=True)
        return loaded

    def _record(self) -> dict[str, Any]:
        finished = torch.load(self.work / "backbone.pt", weights_only=True)
        trained = {
            "backbone_steps": finished["steps"],
            "backbone_minutes": round(finished["seconds"] / 60, 1),
        }
        return {"settings": dataclasses.asdict(self.settings), "photos": len(self.chosen), **trained}

    def _thresholded(self, logits: Tensor) -> tuple[Calibration, Vocabulary]:
        """Calibration and thresholds from the held-out photos' (N, tags) logits."""
        targets, known = self.labels.targets[self.held], self.labels.known[self.held]
        calibration = fit_calibration(logits, targets, known)
        confidences = torch.sigmoid(logits * calibration.scale + calibration.bias).numpy()
        floor = self.settings.precision_floor
        thresholds = choose_thresholds(confidences, targets.numpy(), known.numpy(), floor)
        aliases = {
            alias: tag for alias, tag in ALIASES.items() if tag in self.tags and alias not in self.tags
        }
        return calibration, Vocabulary(tuple(self.tags), tuple(thresholds), aliases=aliases)

    def make_tagger(self) -> None:
        """Train, calibrate and export the tagger."""
        network = train_tagger(self.features, self.labels, self.chosen, self.settings.tagger, self.report)
        logits = all_logits(
            lambda tokens: network.logits(network.image_proj(tokens)), self.features, self.held
        )
        calibration, vocabulary = self._thresholded(logits)
        spec = spec_for(
            "tagger",
            "ram",
            network.config,
            vocabulary="tagger_vocabulary.json",
            calibration=calibration,
            training=self._record(),
        )
        export_model(network, spec, self.out, vocabulary)

    def embedder_language(self) -> dict[str, Tensor]:
        """Text tower learned from captions alone; needs no backbone."""

        def make() -> Mapping[str, Tensor]:
            run = EmbedderRun(self.tokenizer, self.settings.embedder, self.report)
            run.train_text(Captions(self.language, self.tokenizer, run.network.config.text_tokens))
            return run.state()

        return self._stage("embedder_language", make)

    def make_embedder(self) -> None:
        """Train and export the embedder."""
        run = EmbedderRun(self.tokenizer, self.settings.embedder, self.report)
        run.start_from(self.embedder_language())
        length = run.network.config.text_tokens
        captions = Captions(self.captions, self.tokenizer, length)
        described = np.array([photo for photo in self.chosen if self.captions[photo]])
        network = run.train_pairs(self.features, captions, described)
        spec = spec_for(
            "embedder", "dual_encoder", network.config, tokenizer=TOKENS_FILE, training=self._record()
        )
        export_model(network, spec, self.out)

    def _sentences(self, captions: Sequence[Sequence[str]]) -> Sentences:
        return Sentences(captions, text.TagParser(self.tags), self.tokenizer, self.settings.captioner.length)

    def captioner_language(self) -> dict[str, Tensor]:
        """Captions written from tags alone; needs no backbone."""

        def make() -> Mapping[str, Tensor]:
            run = CaptionerRun(self.tags, self.tokenizer, self.settings.captioner, self.report)
            run.train_text(self._sentences(self.language))
            return run.state()

        return self._stage("captioner_language", make)

    def make_captioner(self) -> None:
        """Train, calibrate and export the captioner."""
        run = CaptionerRun(self.tags, self.tokenizer, self.settings.captioner, self.report)
        run.start_from(self.captioner_language())
        network = run.train_photos(self.features, self.labels, self._sentences(self.captions), self.chosen)
        calibration, vocabulary = self._thresholded(all_logits(network.tag_logits, self.features, self.held))
        guides = (self.settings.guide_threshold,) * len(self.tags)
        spec: ModelSpec = spec_for(
            "captioner",
            "tag2text",
            network.config,
            vocabulary="captioner_vocabulary.json",
            tokenizer=TOKENS_FILE,
            calibration=calibration,
            training=self._record(),
        )
        export_model(network, spec, self.out, dataclasses.replace(vocabulary, thresholds=guides))

    def everything(self) -> None:
        """All stages in order; an exported model is not made again."""
        export_backbone(self.backbone, self.out)
        self._once("tagger", self.make_tagger)
        self._once("embedder", self.make_embedder)
        self._once("captioner", self.make_captioner)

    def _once(self, kind: str, make: Callable[[], None]) -> None:
        done = self.work / f"{kind}.done"
        if not done.exists():
            make()
            done.write_text(json.dumps(dataclasses.asdict(self.settings)), encoding="utf-8")
        self.report(f"{kind}: exported to {self.out}")


def run(
    data: Path,
    out: Path,
    work: Path,
    seed: int = 0,
    minutes: float | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train the small models and write them to `out`; run again after an interruption to go on.

    Args:
        data: folder with photos/flickr8k, photos/clothing, text/ and weights/ (the teacher).
        out: folder for weights, metadata, vocabulary and tokens.
        work: folder for intermediate files, about 8 GB; finished stages found there are skipped.
        seed: decides every random choice.
        minutes: training time of the backbone; None for the recorded number of epochs.
        report: told one line of progress at a time.
    """
    settings = Settings().seeded(seed)
    backbone = dataclasses.replace(settings.backbone, minutes=minutes)
    Training(data, out, work, dataclasses.replace(settings, backbone=backbone), report).everything()
