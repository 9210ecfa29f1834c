"""What a plan costs on this machine and this Milvus: guessed at first, then learned from what searches took."""

from collections.abc import Sequence

import numpy as np

_STEP = 0.3  # how much of the way each search moves an estimate towards what it took
_SURPRISE = 4.0  # as if it had taken at most so many times as long, or as short
_LEAST = 0.2  # of what it was, the least one search leaves of a cost
_PATIENCE = 0.995  # a plan not taken looks so much cheaper each time, and is tried again,
_HOPE = 0.6  # unless it would have to turn out cheaper than this


class Pace:
    """How this machine, as busy as it is, compares with the one the guesses are from: 2 is twice as slow.

    Without it, on a slow machine whatever was never tried would look cheap.
    """

    def __init__(self) -> None:
        self._log: float | None = None

    @property
    def factor(self) -> float:
        """By what guesses are to be multiplied."""
        return 1.0 if self._log is None else float(np.exp(self._log))

    def observe(self, guessed_ms: float, took_ms: float) -> None:
        """Learn from one search, whatever its plan."""
        found = float(np.log(max(took_ms, 1e-3) / guessed_ms))
        if self._log is None:
            self._log = float(np.clip(found, -2 * np.log(_SURPRISE), 2 * np.log(_SURPRISE)))
        else:
            self._log += _STEP * float(np.clip(found - self._log, -np.log(_SURPRISE), np.log(_SURPRISE)))


class LinearCost:
    """Milliseconds as a sum over features: each feature's amount times what one of it costs.

    `guess` holds what one of each feature costs at first, > 0. Learns by projection (Kaczmarz 1937), where the
    features that made most of an estimate take most of its error, and costs stay positive.
    """

    def __init__(self, guess: Sequence[float]) -> None:
        self._guess = np.asarray(guess, float)
        self._each = self._guess
        self._idle = 0
        self.known = False

    def guessed(self, features: Sequence[float]) -> float:
        """What was expected before anything was known."""
        return float(self._guess @ np.asarray(features, float))

    def estimate(self, features: Sequence[float]) -> float:
        """Milliseconds a search of these features is expected to take."""
        return float(self._each @ np.asarray(features, float))

    def hoped(self, features: Sequence[float]) -> float:
        """`estimate`, less the longer this was not tried: a cost that has fallen must be noticed some time."""
        return self.estimate(features) * max(_HOPE, _PATIENCE**self._idle)

    def passed_over(self) -> None:
        """Another plan was taken."""
        self._idle += 1

    def observe(self, features: Sequence[float], took_ms: float) -> None:
        """Learn from one search."""
        parts = self._each * np.asarray(features, float)
        expected = float(parts.sum())
        if not self.known:  # the guess was of another machine: the first search says how they compare
            self._each = self._each * np.clip(took_ms / expected, 1 / _SURPRISE**2, _SURPRISE**2)
        self._idle, first, self.known = 0, not self.known, True
        if first:
            return
        took = min(max(took_ms, expected / _SURPRISE), expected * _SURPRISE)
        moves = _STEP * (took - expected) * parts / float(parts @ parts)
        self._each = self._each * np.maximum(1 + moves, _LEAST)
