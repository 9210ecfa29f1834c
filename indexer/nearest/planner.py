"""Which plan is cheapest for a question, from what plans have cost here."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from indexer.embeddings import MAX_LIMIT
from indexer.nearest.costs import LinearCost, Pace
from indexer.nearest.exact import Question
from indexer.nearest.target import Key, PlanName

# What one search, one row scanned and one row asked for cost at first, in milliseconds: measured on two cores.
GUESSES: Mapping[str, tuple[float, ...]] = {
    "scan": (1.0, 1.5e-4),
    "gather": (1.0, 4e-4),
    "stored": (2.0, 0.012),
    "stream": (5.0, 0.006),
    "bonus": (1.0, 2e-4),
    # A FLAT index compares every row there is; HNSW walks a graph.
    "ids flat": (6.0, 6e-4, 0.004),
    "ids hnsw": (6.0, 1e-6, 0.006),
    "overfetch flat": (6.0, 6e-4, 0.01),
    "overfetch hnsw": (6.0, 1e-6, 0.02),
}

IDS_MOST = 50_000  # ids in one request: half a megabyte
FIRST_DEPTH = 128
DEEPER = 4  # by how much the next depth is greater, where one did not do
_FLOOR_DEPTH = 1_024  # where the whole set above the floor is asked for, at first
_REMEMBERED = 4_096

Features = Sequence[float]


@dataclass(frozen=True)
class Situation:
    """What is there to answer with: `rows` images in the library; whether the memory holds them (`gathers`: the
    question asks for few of those), and the index Milvus searches; `None`: it is away.
    """

    rows: int
    in_memory: bool
    gathers: bool
    index: Literal["flat", "hnsw"] | None


@dataclass(frozen=True)
class Offer:
    """A plan that would do: the cost model it goes by, and with what."""

    model: str
    features: Features


class Planner:
    """Estimates every plan that would do, and learns what they took. Safe to share among threads."""

    def __init__(self) -> None:
        self._costs = {model: LinearCost(guess) for model, guess in GUESSES.items()}
        self._pace = Pace()
        self._lock = threading.Lock()
        self._stretch: dict[tuple[int, bool], float] = {}
        self._depths: OrderedDict[tuple[int, Key], int] = OrderedDict()

    def offers(self, question: Question, situation: Situation) -> dict[PlanName, Offer]:
        """Every plan that would do."""
        channels = max(1, len(question.target.channels))
        rows, asked = situation.rows * channels, len(question.counted) * channels
        offers: dict[PlanName, Offer] = {"stored": Offer("stored", (1, asked))}
        if situation.in_memory:
            gathered = situation.gathers
            offers["exact"] = Offer("gather" if gathered else "scan", (1, asked if gathered else rows))
        if situation.index is None:
            return offers
        offers["stream"] = Offer("stream", (1, rows))
        if question.target.channels:
            if not question.whole and len(question.allowed) <= IDS_MOST:
                offers["ids"] = Offer(f"ids {situation.index}", (1, rows, asked))
            if _base(question) <= MAX_LIMIT:
                offers["overfetch"] = self.overfetch(question, situation, self.depth(question))
        return offers

    def overfetch(self, question: Question, situation: Situation, depth: int) -> Offer:
        """Over-fetching down to `depth`."""
        channels = len(question.target.channels)
        return Offer(f"overfetch {situation.index}", (1, situation.rows * channels, depth * channels))

    def cheapest(self, offers: Mapping[PlanName, Offer]) -> PlanName:
        """The plan to take; one not tried for long gets the benefit of the doubt."""

        def hoped(name: PlanName) -> float:
            cost, features = self._costs[offers[name].model], offers[name].features
            return cost.hoped(features) if cost.known else self._estimate(offers[name])

        with self._lock:
            return min(offers, key=hoped)

    def estimates(self, offers: Mapping[PlanName, Offer]) -> dict[PlanName, float]:
        """What each is expected to take, in milliseconds."""
        with self._lock:
            return {name: self._estimate(offer) for name, offer in offers.items()}

    def _estimate(self, offer: Offer) -> float:
        cost = self._costs[offer.model]
        return cost.estimate(offer.features) * (1.0 if cost.known else self._pace.factor)

    def took(self, taken: Offer, ms: float, instead_of: Iterable[Offer] = ()) -> None:
        """Learn what a plan cost, and which ones were passed over for it."""
        with self._lock:
            cost = self._costs[taken.model]
            self._pace.observe(cost.guessed(taken.features), ms)
            cost.observe(taken.features, ms)
            for model in {offer.model for offer in instead_of} - {taken.model}:
                self._costs[model].passed_over()

    # --- how deep to look

    def depth(self, question: Question) -> int:
        """How far down each list over-fetching must probably go."""
        with self._lock:
            if question.after is not None:
                known = self._depths.get((_name(question), question.after))
                if known is not None:
                    return known
            stretch = self._stretch.get(_kind(question), 1.0)
        return _bounded(_base(question) * stretch)

    def reached(self, question: Question, depth: int, end: Key | None) -> None:
        """Remember how deep it had to go, and where the next page begins."""
        with self._lock:
            kind = _kind(question)
            if question.after is None:
                before, needed = self._stretch.get(kind, 1.0), depth / _base(question)
                self._stretch[kind] = needed if needed > before else max(0.95 * before, 1.0)
            if end is not None:
                self._depths[_name(question), end] = depth
                while len(self._depths) > _REMEMBERED:
                    self._depths.popitem(last=False)


def deeper(depth: int) -> int | None:
    """The depth to try next; `None` past what Milvus returns."""
    return None if depth >= MAX_LIMIT else _bounded(depth * DEEPER)


def first_depth(limit: int) -> int:
    """How deep to look at first where every image found may be returned."""
    return _bounded(2 * limit)


def _bounded(depth: float) -> int:
    return int(min(max(depth, FIRST_DEPTH), MAX_LIMIT))


def _base(question: Question) -> float:
    """The depth at which an even spread of what is allowed would give a page, in a single list."""
    share = max(len(question.allowed), 1) / max(len(question.library), 1)
    least = _FLOOR_DEPTH if question.whole else FIRST_DEPTH
    return max(least, question.limit / share)


def _kind(question: Question) -> tuple[int, bool]:
    lists = len(question.target.channels) + bool(len(question.target.bonus_ids))
    return lists, question.whole


def _name(question: Question) -> int:
    target = question.target
    vectors = tuple((c, target.vectors[c].tobytes(), target.weights[c]) for c in target.channels)
    return hash((vectors, target.bonus_ids.tobytes(), len(question.allowed)))
