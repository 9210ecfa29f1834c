"""What a plan costs on this machine and this Milvus: guessed at first, then learned from what searches took."""

from collections.abc import Sequence

import numpy as np

_FORGET = 0.95  # each search makes those before it count for so much less
_TRUST = 0.1  # how many searches the first guess is worth,
_HOLD = 0.001  # and stays worth, so that what searches say nothing of keeps its guess
_SURPRISE = 4.0  # one search moves an estimate as if it had taken at most so many times as long, or as short
_LEAST = 0.02  # of the first guess: nothing is free
_PATIENCE = 0.995  # a plan not taken looks so much cheaper each time, and is tried again,
_HOPE = 0.6  # unless it would have to turn out cheaper than this


class LinearCost:
    """Milliseconds as a sum over features: each feature's amount times what one of it costs.

    `guess` holds what one of each feature costs at first, > 0. Least squares on relative errors, so that a long
    search does not drown a short one, with forgetting, drawn towards the guess (ridge regression).
    """

    def __init__(self, guess: Sequence[float]) -> None:
        self._guess = np.asarray(guess, float)
        self._moment = np.eye(len(guess)) * _TRUST
        self._mean = np.ones(len(guess)) * _TRUST
        self._factors = np.ones(len(guess))
        self._idle = 0

    def estimate(self, features: Sequence[float]) -> float:
        """Milliseconds a search of these features is expected to take."""
        return float(self._guess * self._factors @ np.asarray(features, float))

    def hoped(self, features: Sequence[float]) -> float:
        """`estimate`, less the longer this was not tried: a cost that has fallen must be noticed some time."""
        return self.estimate(features) * max(_HOPE, _PATIENCE**self._idle)

    def passed_over(self) -> None:
        """Another plan was taken."""
        self._idle += 1

    def observe(self, features: Sequence[float], took_ms: float) -> None:
        """Learn from one search."""
        self._idle = 0
        expected = self.estimate(features)
        took = min(max(took_ms, expected / _SURPRISE, 1e-3), expected * _SURPRISE)
        row = self._guess * np.asarray(features, float) / took
        self._moment = _FORGET * self._moment + np.outer(row, row) + _HOLD * np.eye(len(row))
        self._mean = _FORGET * self._mean + row + _HOLD
        self._factors = np.maximum(np.linalg.solve(self._moment, self._mean), _LEAST)
