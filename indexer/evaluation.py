"""How good the models are: tag, caption and retrieval metrics, and one report over a data set."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from indexer.images import InputSpec, Limits, decode
from indexer.predictors import Captioner, Embedder, Tagger, passing
from indexer.vocabulary import Vocabulary

NGRAMS = 4
CIDER_SIGMA = 6.0
BATCH = 32
MIN_POSITIVES = 5


@dataclass(frozen=True)
class Example:
    """One photo with what people said of it. `tags` is None where nobody tagged it."""

    path: Path
    captions: tuple[str, ...]
    tags: frozenset[str] | None


@dataclass(frozen=True)
class TagFigures:
    """Tag metrics.

    `mean_average_precision` is over the `tags_judged` tags of the vocabulary with at least `MIN_POSITIVES` photos;
    `chance` is what random scores would get. Precision, recall and F1 are of asserted tags at the model's own
    thresholds, over all photos and the whole vocabulary (micro) or averaged over judged tags (macro).
    `calibration_error` is the expected distance between confidence and truth (ECE, 15 bins).
    """

    mean_average_precision: float
    chance: float
    tags_judged: int
    precision: float
    recall: float
    f1: float
    macro_f1: float
    tags_per_photo: float
    calibration_error: float


@dataclass(frozen=True)
class RetrievalFigures:
    """Share of queries whose answer is among the first k, for k = 1, 5, 10."""

    text_to_image: dict[int, float]
    image_to_text: dict[int, float]
    queries: int


@dataclass(frozen=True)
class CaptionFigures:
    """CIDEr-D (10 is perfect), BLEU-4 (1 is perfect), different captions per photo, and mean length."""

    cider_d: float
    bleu4: float
    distinct: float
    mean_words: float


@dataclass(frozen=True)
class Report:
    """One data set's figures; a part is None where the data set has no truth for it."""

    dataset: str
    photos: int
    tags: TagFigures | None
    retrieval: RetrievalFigures | None
    captions: CaptionFigures | None


def recall_at_k(scores: np.ndarray, answers: Sequence[set[int]], ks: Sequence[int]) -> dict[int, float]:
    """Share of rows of (queries, candidates) `scores` with a right answer among the k highest."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, : max(ks)]
    firsts = [
        next((rank for rank, item in enumerate(row) if int(item) in right), max(ks))
        for row, right in zip(ranked, answers, strict=True)
    ]
    return {k: float(np.mean([first < k for first in firsts])) for k in ks}


def mean_average_precision(
    scores: np.ndarray, truth: np.ndarray, min_positives: int
) -> tuple[float, np.ndarray]:
    """Mean over the columns with enough positives of (N, tags) scores, and which columns those are.

    Raises:
        ValueError: when no tag has that many.
    """
    judged = np.flatnonzero(truth.sum(0) >= min_positives)
    if not len(judged):
        raise ValueError(f"no tag has {min_positives} positives: use more photos or a lower minimum")
    return float(np.mean([average_precision_score(truth[:, c], scores[:, c]) for c in judged])), judged


def precision_recall_f1(asserted: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Micro-averaged over two boolean arrays of one shape; 0 where undefined."""
    right = float((asserted & truth).sum())
    precision = right / max(1, asserted.sum())
    recall = right / max(1, truth.sum())
    return precision, recall, 2 * precision * recall / max(1e-12, precision + recall)


def expected_calibration_error(confidences: np.ndarray, truth: np.ndarray, bins: int = 15) -> float:
    """Mean |confidence - share right| over equal-width bins, weighted by how many fall in each ("On Calibration of
    Modern Neural Networks", Guo et al., ICML 2017).
    """
    places = np.minimum((confidences.ravel() * bins).astype(int), bins - 1)
    counts = np.bincount(places, minlength=bins)
    claimed = np.bincount(places, weights=confidences.ravel(), minlength=bins)
    right = np.bincount(places, weights=truth.ravel().astype(float), minlength=bins)
    return float(np.abs(claimed - right).sum() / max(1, counts.sum()))


def caption_words(caption: str) -> list[str]:
    """Lower-case words without punctuation, as caption metrics compare them."""
    return re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", caption.lower())


def _ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    spans = ((start, start + n) for n in range(1, NGRAMS + 1) for start in range(len(words) - n + 1))
    return Counter(tuple(words[start:end]) for start, end in spans)


def bleu4(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4, unsmoothed, with the closest reference length ("BLEU", Papineni et al., ACL 2002)."""
    right, total = np.zeros(NGRAMS), np.zeros(NGRAMS)
    length, reference_length = 0, 0
    for caption, refs in zip(captions, references, strict=True):
        words, counted = caption_words(caption), [_ngrams(caption_words(ref)) for ref in refs]
        lengths = [len(caption_words(ref)) for ref in refs]
        length += len(words)
        reference_length += min(lengths, key=lambda n: (abs(n - len(words)), n))
        for gram, count in _ngrams(words).items():
            total[len(gram) - 1] += count
            right[len(gram) - 1] += min(count, max(ref[gram] for ref in counted))
    if not right.all():
        return 0.0
    brevity = min(0.0, 1 - reference_length / length)
    return float(np.exp(np.mean(np.log(right / total)) + brevity))


class CiderD:
    """CIDEr-D ("CIDEr: Consensus-based Image Description Evaluation", Vedantam et al., CVPR 2015).

    Document frequencies are those of the evaluated references themselves, one document a photo.
    """

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        counted = [[_ngrams(caption_words(ref)) for ref in refs] for refs in references]
        photos = (set().union(*refs) for refs in counted)
        self._frequency: Counter[tuple[str, ...]] = Counter(gram for grams in photos for gram in grams)
        self._log_photos = math.log(max(1, len(references)))
        self._references = [[self._weigh(grams) for grams in refs] for refs in counted]

    def _weigh(
        self, grams: Counter[tuple[str, ...]]
    ) -> tuple[list[dict[tuple[str, ...], float]], list[float], int]:
        """Per n: tf-idf weights and their norm; and the length in bigrams, as the published code counts it."""
        weights: list[dict[tuple[str, ...], float]] = [{} for _ in range(NGRAMS)]
        for gram, count in grams.items():
            rarity = self._log_photos - math.log(max(1, self._frequency[gram]))
            weights[len(gram) - 1][gram] = count * rarity
        norms = [math.sqrt(sum(value**2 for value in part.values())) for part in weights]
        return weights, norms, sum(count for gram, count in grams.items() if len(gram) == 2)

    def score(self, caption: str, photo: int) -> float:
        """0 to 10: one caption against the references of photo number `photo`."""
        weights, norms, length = self._weigh(_ngrams(caption_words(caption)))
        total = 0.0
        for ref_weights, ref_norms, ref_length in self._references[photo]:
            penalty = math.exp(-((length - ref_length) ** 2) / (2 * CIDER_SIGMA**2))
            for own, other, norm, ref_norm in zip(weights, ref_weights, norms, ref_norms, strict=True):
                shared = sum(
                    min(value, other[gram]) * other[gram] for gram, value in own.items() if gram in other
                )
                if norm and ref_norm:
                    total += penalty * shared / (norm * ref_norm)
        return 10 * total / NGRAMS / len(self._references[photo])


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Mean CIDEr-D of one caption a photo."""
    scorer = CiderD(references)
    return float(np.mean([scorer.score(caption, photo) for photo, caption in enumerate(captions)]))


def read_examples(jsonl: Path) -> list[Example]:
    """One JSON object a line: file (relative to the list), captions, tags (by people) or tags_from_captions."""
    examples = []
    for line in jsonl.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tags = row.get("tags") or row.get("tags_from_captions")
        captions = tuple(row.get("captions") or ())
        examples.append(
            Example(jsonl.parent / row["file"], captions, frozenset(tags) if tags is not None else None)
        )
    return examples


def tag_figures(confidences: np.ndarray, examples: Sequence[Example], vocabulary: Vocabulary) -> TagFigures:
    """Figures of (N, tags) confidences against what people said."""
    numbers = {tag: number for number, tag in reversed(list(enumerate(vocabulary.tags)))}
    truth = np.zeros(confidences.shape, bool)
    for row, example in enumerate(examples):
        truth[row, [numbers[tag] for tag in example.tags or () if tag in numbers]] = True
    value, judged = mean_average_precision(confidences, truth, MIN_POSITIVES)
    asserted = confidences > np.asarray(vocabulary.thresholds, np.float32)
    precision, recall, f1 = precision_recall_f1(asserted, truth)
    return TagFigures(
        mean_average_precision=value,
        chance=float(truth[:, judged].mean()),
        tags_judged=len(judged),
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=float(np.mean([precision_recall_f1(asserted[:, c], truth[:, c])[2] for c in judged])),
        tags_per_photo=float(asserted.sum(1).mean()),
        calibration_error=expected_calibration_error(confidences, truth),
    )


def retrieval_figures(images: np.ndarray, texts: np.ndarray, owners: Sequence[int]) -> RetrievalFigures:
    """Figures of (N, D) image and (M, D) text embeddings; text m belongs to image owners[m]."""
    scores, ks = texts @ images.T, (1, 5, 10)
    of_image: list[set[int]] = [set() for _ in images]
    for text, owner in enumerate(owners):
        of_image[owner].add(text)
    described = [n for n, own in enumerate(of_image) if own]
    return RetrievalFigures(
        text_to_image=recall_at_k(scores, [{owner} for owner in owners], ks),
        image_to_text=recall_at_k(scores.T[described], [of_image[n] for n in described], ks),
        queries=len(owners),
    )


def caption_figures(captions: Sequence[str], references: Sequence[Sequence[str]]) -> CaptionFigures:
    """Figures of one caption a photo."""
    return CaptionFigures(
        cider_d=cider_d(captions, references),
        bleu4=bleu4(captions, references),
        distinct=len(set(captions)) / max(1, len(captions)),
        mean_words=float(np.mean([len(caption_words(caption)) for caption in captions])),
    )


def _batches(
    examples: Sequence[Example], specs: Sequence[InputSpec]
) -> Iterator[dict[InputSpec, np.ndarray]]:
    """Pixels (B, S, S, 3) uint8 for every way of preparing them, decoded as the pipeline does."""
    wanted = tuple(dict.fromkeys(specs))
    for start in range(0, len(examples), BATCH):
        rows = [decode(e.path.read_bytes(), wanted, Limits()).inputs for e in examples[start : start + BATCH]]
        yield dict(zip(wanted, (np.stack(column) for column in zip(*rows, strict=True)), strict=True))


def evaluate(
    tagger: Tagger,
    captioner: Captioner,
    embedder: Embedder,
    dataset: Path,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Report:
    """Run the three models over a data set (JSON lines, see `read_examples`) and compare with what people said.

    Args:
        tagger: judged where photos have tags.
        captioner: judged where photos have captions; guided by the tagger's tags, as in the pipeline.
        embedder: judged by finding each photo from each of its captions among all photos.
        dataset: the JSON-lines file.
        limit: only the first photos.
        progress: told photos done and in all, after every batch.
    """
    examples = read_examples(dataset)[:limit]
    confidences, captions, images = [], [], []
    for pixels in _batches(examples, (tagger.input, captioner.input, embedder.input)):
        confidences.append(tagger.confidences(pixels[tagger.input]))
        shown = passing(confidences[-1], tagger.vocabulary)
        captions += captioner.caption(
            pixels[captioner.input], [[score.tag for score in row] for row in shown]
        )
        images.append(embedder.embed_images(pixels[embedder.input]))
        progress(len(captions), len(examples))
    owners = [number for number, example in enumerate(examples) for _ in example.captions]
    told = [number for number, example in enumerate(examples) if example.captions]
    texts = embedder.embed_texts([caption for example in examples for caption in example.captions])
    references = [examples[number].captions for number in told]
    is_tagged = any(example.tags for example in examples)
    return Report(
        dataset=dataset.stem,
        photos=len(examples),
        tags=tag_figures(np.concatenate(confidences), examples, tagger.vocabulary) if is_tagged else None,
        retrieval=retrieval_figures(np.concatenate(images), texts, owners) if told else None,
        captions=caption_figures([captions[n] for n in told], references) if told else None,
    )
