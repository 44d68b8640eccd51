"""Candles to come, mirrored: what keeps a model from learning by heart which days rose.

All symbols of a day share its move. A model that reads the market's state can tell the few thousand days
of training apart and learns what became of each; on days it never saw that is noise, of one sign for all.
Mirroring half of the targets takes the sign away and leaves how far candles move.

Legend: K channels, V tokens of a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIGNED = ("gap", "body")
_WICKS = ("up", "low")


@dataclass(frozen=True, eq=False)
class _Rank:
    """Where tokens of a channel stand among the training part's: token v from ends[v] to ends[v + 1]."""

    ends: NDArray[np.float64]

    @classmethod
    def of(cls, tokens: NDArray[np.int64]) -> _Rank:
        return cls(np.concatenate([[0.0], np.cumsum(np.bincount(tokens)) / len(tokens)]))

    def at(self, tokens: NDArray[np.int64], inside: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.ends[tokens] + inside * (self.ends[tokens + 1] - self.ends[tokens]))

    def token(self, rank: NDArray[np.float64]) -> NDArray[np.int64]:
        found = np.searchsorted(self.ends, rank, side="right") - 1
        return np.clip(found, 0, len(self.ends) - 2)


class Mirror:
    """Mirrors candles in ranks: what was among the highest tenth of bodies becomes one of the lowest.

    Ranks, not values, so that the shares of tokens, and with them the drift, stay what they are. Gap and body
    are turned over, the wicks change places; other channels stay.

    Args:
        tokens: shape (N, K), int64: of the training part.
        channel_names: Of the K channels.
    """

    def __init__(self, tokens: NDArray[np.int64], channel_names: Sequence[str]) -> None:
        self._ranks = [_Rank.of(column) for column in tokens.T]
        names = list(channel_names)
        self._signed = [names.index(name) for name in _SIGNED if name in names]
        wicks = [names.index(name) for name in _WICKS if name in names]
        self._swapped = list(zip(wicks, wicks[::-1], strict=True)) if len(wicks) == len(_WICKS) else []

    def __call__(self, tokens: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the mirror images of candles (N, K); within a token its rank is drawn."""
        result = tokens.copy()
        inside = rng.random(tokens.shape)
        for k in self._signed:
            result[:, k] = self._ranks[k].token(1.0 - self._ranks[k].at(tokens[:, k], inside[:, k]))
        for k, other in self._swapped:
            result[:, k] = self._ranks[k].token(self._ranks[other].at(tokens[:, other], inside[:, other]))
        return result
