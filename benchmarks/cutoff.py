"""Where hits stop: how well what the cut-off keeps agrees with what people say the photos show.

`python -m benchmarks.cutoff` indexes 1,000 photos of Flickr8k's validation split with the bundled models, and asks for

- every word that at least five of the photos carry as a tag (`tags` given by people where there are any, else
  `tags_from_captions`: what at least two of a photo's five captions mention): precision, recall and F1 of the photos
  kept, averaged over words; a word for which nothing is kept counts precision 0,
- 500 captions, each to keep its own photo, and how many others with it,
- words and numbers that mean nothing here, for which nothing should be kept.

Opponents: no cut-off, and one threshold for all queries, on the image's cosine, on its standing, and on the same score
that the cut-off is applied to. Each threshold is the one with the best mean F1 over the words: of the validation photos
themselves, which no user could know, and of the training photos that the bundled models were not trained on.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.catalog import images
from indexer.ingest import read_file
from indexer.query import Query, TextTerm
from indexer.search import ranking
from indexer.search.evidence import WEIGHTS
from indexer.settings import Settings
from indexer.training.data import Photo, held_out, read_photos, training_photos
from search_api.services import Services, open_services
from tests.caretaker import cared_for
from workers.runtime import build

TEST_DATA = Path(os.environ.get("SIGHTLINE_TEST_DATA", Path(__file__).parents[2] / "shared"))
VAL = TEST_DATA / "photos" / "flickr8k" / "val.jsonl"
RESULT = Path(__file__).parent / "results" / "cutoff.md"
CAPTIONS = 500
NOTHING = (
    "qwertz",
    "asdf jkl",
    "lorem ipsum dolor sit amet",
    "invoice number 4711",
    "quantum chromodynamics",
    "xkcd",
    "fjdkslajf dsaklf",
    "tax return",
    "parliament",
    "0x7ffe",
    "mortgage rates",
    "sonata in b minor",
    "philosophy",
    "kjh kjh kjh",
    "democracy",
    "microscope image of cells",
    "scanned document",
    "spreadsheet",
    "annual report 2019",
    "prime number theorem",
    "shareholder meeting",
    "java exception",
    "insulin",
    "espresso machine",
    "chess opening",
)


@dataclass(frozen=True)
class Answers:
    """What queries score on every photo: (queries, photos) each. `kept`: what the search itself keeps."""

    cosine: np.ndarray
    standing: np.ndarray
    score: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True)
class Collection:
    """Photos that are indexed, in the order of their ids, and the words asked for with who shows what."""

    services: Services
    photos: list[Photo]
    image_ids: np.ndarray
    words: list[str]
    truth: np.ndarray

    def ask(self, texts: Sequence[str]) -> Answers:
        """Every photo's scores, by the search's own steps, and what it keeps."""
        searcher, semantics = self.services.searcher.get(), self.services.semantics.get()
        rows = []
        for text in texts:
            query = Query((TextTerm(text),))
            by_text = ranking.embed_texts(semantics, query.terms)
            with self.services.sessions() as session:
                view = searcher.postings.view(session)
                meaning = ranking.understand(session, view, query, semantics, by_text, None)
                found = semantics.nearest.search(
                    session, meaning.target, within=None, library=view.searchable, limit=len(self.photos)
                )
            order = np.argsort(found.ids)
            standings = {
                name: (found.scores[name][order] - spread.mean) / spread.deviation
                for name, spread in meaning.scales.items()
            }
            kept = found.fused[order] >= meaning.floor
            if searcher.count(query).value != kept.sum():
                raise SystemExit(
                    f"{text!r}: the search keeps {searcher.count(query).value}, not {kept.sum()}"
                )
            standing = sum(WEIGHTS[name] * values for name, values in standings.items())
            rows.append((found.scores["image"][order], standing, found.fused[order] - meaning.offset, kept))
        return Answers(*(np.stack(column) for column in zip(*rows, strict=True)))


def indexed(home: Path, photos: list[Photo], least: int) -> Collection:
    """Bring photos through the pipeline; words are those that at least `least` of them show."""
    settings = Settings(home=home, postgres_url=None, redis_url=None, milvus_url=None, storage_url=None)
    runtime = build(settings)
    files = [read_file(photo.path, photo.path.as_uri(), 10**9) for photo in photos]
    with runtime.pipeline.sessions.begin() as session:
        ids = [row.image_id for row in images.register(session, files)]
    runtime.pipeline.index(ids)
    runtime.publisher.drain()
    runtime.close()
    order = np.argsort(ids)
    kept = [photos[n] for n in order]
    tags = [set(photo.caption_tags) | ({photo.category} if photo.category else set()) for photo in kept]
    counts = Counter(tag for own in tags for tag in own)
    words = sorted(word for word, count in counts.items() if count >= least)
    truth = np.array([[word in own for own in tags] for word in words])
    return Collection(open_services(settings), kept, np.array(ids)[order], words, truth)


def figures(kept: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of (words, photos), averaged over words."""
    right = (kept & truth).sum(1)
    precision = right / np.maximum(kept.sum(1), 1)
    recall = right / truth.sum(1)
    return (
        float(precision.mean()),
        float(recall.mean()),
        float((2 * right / (kept.sum(1) + truth.sum(1))).mean()),
    )


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The one threshold for all words with the best mean F1, of 500."""
    candidates = np.quantile(scores, np.linspace(0.2, 0.9999, 500))
    return float(max(candidates, key=lambda threshold: figures(scores >= threshold, truth)[2]))


def report(train: Collection, val: Collection) -> str:
    """The table, as Markdown."""
    rng = np.random.default_rng(0)
    told = [n for n, photo in enumerate(val.photos) if photo.captions]
    owners = rng.choice(told, min(CAPTIONS, len(told)), replace=False)
    captions = [str(rng.choice(val.photos[n].captions)) for n in owners]
    learned, words = train.ask(train.words), val.ask(val.words)
    asked = {"words": words, "captions": val.ask(captions), "nothing": val.ask(NOTHING)}

    def line(name: str, keep: Callable[[Answers], np.ndarray]) -> str:
        kept = {kind: keep(answers) for kind, answers in asked.items()}
        precision, recall, f1 = figures(kept["words"], val.truth)
        own = kept["captions"][np.arange(len(owners)), owners].mean()
        sizes = {kind: rows.sum(1) for kind, rows in kept.items()}
        return (
            f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {np.median(sizes['words']):.0f} "
            f"| {own:.2f} | {sizes['captions'].mean():.0f} | {sizes['nothing'].mean():.1f} "
            f"| {(sizes['nothing'] == 0).mean():.0%} |"
        )

    lines = [line("**cut-off**", lambda answers: answers.kept), line("none", lambda a: np.ones_like(a.kept))]
    for name in ("cosine", "standing", "score"):
        for where, chosen, truth in (("validation", words, val.truth), ("training", learned, train.truth)):
            limit = best_threshold(getattr(chosen, name), truth)
            lines.append(
                line(
                    f"{name} ≥ {limit:.2f}, best on {where} photos",
                    lambda a, n=name, t=limit: getattr(a, n) >= t,
                )  # type: ignore[misc]
            )
    return "\n".join(
        [
            f"# Where hits stop: {len(val.photos)} photos, {len(val.words)} words, {len(captions)} captions",
            "",
            "Made by `python -m benchmarks.cutoff`, whose beginning says what the figures are. Thresholds were chosen"
            f" over {len(train.words)} words and {len(train.photos)} photos of the training split.",
            "",
            "| kept by | precision | recall | F1 | kept (median) | caption's own photo kept | kept for a caption (mean)"
            " | kept for nothing (mean) | nothing kept for nothing |",
            "|---|---|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def main() -> None:
    if not VAL.is_file():
        sys.exit(
            f"SKIPPED: no photographs at {VAL}. Set SIGHTLINE_TEST_DATA to the folder that holds photos/."
        )
    every = training_photos(TEST_DATA)
    unseen = [photo for photo, out in zip(every, held_out(every, 0.05, 0), strict=True) if out]
    with tempfile.TemporaryDirectory(prefix="sightline-cutoff-") as folder:
        homes = Path(folder) / "training", Path(folder) / "validation"
        with cared_for(*homes):
            train, val = indexed(homes[0], unseen, 4), indexed(homes[1], read_photos(VAL), 5)
            RESULT.write_text(report(train, val), encoding="utf-8")
            for collection in (train, val):
                collection.services.close()
    sys.stdout.write(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
