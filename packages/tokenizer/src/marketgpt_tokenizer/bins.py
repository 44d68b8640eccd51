"""Quantile bins of one channel, an atom at exact zero, and the law inside each bin.

Bins are ordered by value: negative ones, the atom, positive ones. Each half line is cut at the quantiles of
its training values, and its outermost bin once more at small tail masses (log-spaced), so that rare moves
keep a size. A token is the count of edges at or below the value.

Inside a bin the law is 17 knots, the quantiles of the training values that fell into it; between knots it is
linear. Knots keep a small distance from the edges, so that a decoded value encodes to its own token even
after it went through prices in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError

NUM_KNOTS = 17
# In units of sigma. A price's last bit over the smallest sigma allowed (1e-6) stays below 1e-8.
ATOM = 1e-9
_MARGIN = 1e-7
_MIN_WIDTH = 1e-6
# Finding a token among 64 edges takes six unpredictable steps; a table of cells takes one, and most cells
# hold no edge. Below so many values it is not worth it.
_CELLS, _WORTH_A_TABLE, _UNSURE = 1 << 15, 512, -1
# A bin or a tail cut must rest on so many training values.
MIN_VALUES = 8


@dataclass(frozen=True, eq=False)
class ChannelBins:
    """The V bins of one channel.

    Attributes:
        edges: shape (V - 1,), float64, increasing: bin k holds ``edges[k-1] <= value < edges[k]``.
        knots: shape (V, 17), float64, not decreasing along a row: quantiles inside each bin, in sigma.
        mass: shape (V,), float64: share of the training values in each bin.
    """

    edges: NDArray[np.float64]
    knots: NDArray[np.float64]
    mass: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.knots)

    @classmethod
    def fit(cls, values: NDArray[np.float64], *, num_bins: int, tail_masses: Sequence[float]) -> ChannelBins:
        """Cut training values into bins.

        Args:
            values: shape (M,), finite, in units of sigma.
            num_bins: Quantile bins over both half lines, without the atom and the tail cuts.
            tail_masses: The outermost bin of each half line is cut again where this share of the values
                lies beyond.
        """
        ordered = np.sort(np.where(np.abs(values) < ATOM, 0.0, values))
        negative = -ordered[: np.searchsorted(ordered, 0.0)][::-1]
        positive = ordered[np.searchsorted(ordered, 0.0, side="right") :]
        total = len(negative) + len(positive)
        below, above = (
            _half_line_edges(half, total, num_bins=num_bins, tail_masses=tail_masses)
            for half in (negative, positive)
        )
        # Nothing was seen of a half line without values: the atom then covers it.
        edges = np.concatenate([-below[::-1], above])
        starts = np.searchsorted(ordered, edges)
        pieces = np.split(ordered, starts)
        bounds = np.concatenate([[-np.inf], edges, [np.inf]])
        atom = len(below)
        knots = np.array(
            [
                np.zeros(NUM_KNOTS) if k == atom else knots_of(piece, bounds[k], bounds[k + 1])
                for k, piece in enumerate(pieces)
            ]
        )
        mass = np.array([len(piece) for piece in pieces]) / max(len(ordered), 1)
        return cls(edges=edges, knots=knots, mass=mass)

    @property
    def atom(self) -> int:
        """Token of exact zero."""
        return int(np.searchsorted(self.edges, 0.0, side="right"))

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return the token of each value, same shape."""
        if values.size < _WORTH_A_TABLE or not len(self.edges):
            return np.searchsorted(self.edges, values, side="right").astype(np.int16)
        tokens = self._tokens_of_cells.take(self._cells(values), mode="clip")
        unsure = np.flatnonzero(tokens == _UNSURE)
        tokens.flat[unsure] = np.searchsorted(self.edges, values.flat[unsure], side="right")
        return tokens

    def _cells(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return which of the equal cells between the outermost edges each value lies in."""
        position = values - self.edges[0]
        position *= (_CELLS - 1) / max(float(self.edges[-1] - self.edges[0]), _MIN_WIDTH)
        return np.asarray(np.clip(position, 0, _CELLS - 1, out=position).astype(np.int32))

    @cached_property
    def _tokens_of_cells(self) -> NDArray[np.int16]:
        """The token of all values in a cell, or ``_UNSURE`` for a cell with an edge; shape (_CELLS,).

        Exact, rounding or not: a value's cell does not decrease with the value, so one in a later cell than
        an edge's lies above that edge, and one in an earlier cell below.
        """
        cells = self._cells(self.edges)
        tokens = np.searchsorted(cells, np.arange(_CELLS), side="left").astype(np.int16)
        tokens[cells] = _UNSURE
        return tokens

    def bounds(self, limit: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper end of each bin, shape (V,), with ``limit`` for infinity."""
        ends = np.concatenate([[-limit], self.edges, [limit]])
        return ends[:-1], ends[1:]


class BinLaws:
    """The laws inside the bins of K channels, for drawing of all at once.

    Args:
        bins: The channels' bins.
    """

    def __init__(self, bins: Sequence[ChannelBins]) -> None:
        self._sizes = np.array([len(one) for one in bins])
        # All knots in one row, and where each channel's begin.
        self._knots = np.concatenate([one.knots.ravel() for one in bins])
        self._starts = np.cumsum([0, *(one.knots.size for one in bins)])[:-1]

    def values(
        self, tokens: NDArray[np.integer], u: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the values of tokens (..., K) at ``u`` in [0, 1), same shape; None takes the medians.

        Raises:
            DataError: for tokens of another shape or outside the vocabulary.
        """
        tokens, sizes = np.asarray(tokens), self._sizes
        if tokens.shape[-1:] != sizes.shape:
            raise DataError(f"tokens must have shape (..., {len(sizes)}), got {tokens.shape}")
        if ((tokens < 0) | (tokens >= sizes)).any():
            raise DataError(
                f"a token is outside the vocabulary, whose sizes are {tuple(int(size) for size in sizes)}"
            )
        first = self._starts + tokens.astype(np.int64) * NUM_KNOTS
        if u is None:
            return np.asarray(self._knots[first + NUM_KNOTS // 2])
        position = np.clip(u, 0.0, 1.0) * (NUM_KNOTS - 1)
        step = np.minimum(position.astype(np.int64), NUM_KNOTS - 2)
        low, high = self._knots[first + step], self._knots[first + step + 1]
        return np.asarray(low + (position - step) * (high - low))


def _half_line_edges(
    values: NDArray[np.float64], total: int, *, num_bins: int, tail_masses: Sequence[float]
) -> NDArray[np.float64]:
    """Return the edges on one half line, increasing, from the atom's end outward.

    Args:
        values: Distances from zero, ascending, > 0; ``total`` values lie on both half lines.
        total: Nonzero values.
        num_bins: Bins over both half lines.
        tail_masses: Shares of ``total``.
    """
    count = len(values)
    if not count:
        return np.empty(0)
    bins = max(1, min(round(num_bins * count / total), count // MIN_VALUES))
    cuts = [round(count * k / bins) for k in range(1, bins)]
    tails = [round(total * mass) for mass in sorted(tail_masses, reverse=True)]
    cuts += [count - tail for tail in tails if MIN_VALUES <= tail < count / bins]
    edges = [ATOM]
    for cut in cuts:
        # Equal values share a bin: the cut moves down to where they begin.
        start = int(np.searchsorted(values, values[cut]))
        if start == 0:
            continue
        edge = 0.5 * (values[start - 1] + values[start])
        if values[start - 1] < edge < values[start] and edge - edges[-1] >= _MIN_WIDTH:
            edges.append(edge)
    return np.array(edges)


def knots_of(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return the law of the values in the bin from ``low`` to ``high``: 17 quantiles, off its edges."""
    knots = np.quantile(values, np.linspace(0.0, 1.0, NUM_KNOTS))
    return np.clip(knots, low + _MARGIN, high - _MARGIN)
