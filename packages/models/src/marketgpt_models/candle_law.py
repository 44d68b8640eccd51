"""The law of the next close, exactly, from the head that draws candles: no sampling.

The close moves by gap and body. Their joint law over tokens is read off the head, every gap once, and turned
into a distribution function on a fixed grid; inside a pair of bins the move is the sum of the two bins' laws.

Legend: N rows, P pairs of tokens of gap and body (gap first), G points of the grid, R passes, M points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.tokens import Tokenizer
from marketgpt_models.bin_values import bin_values
from marketgpt_models.mixing import LEVELS, NUM_POINTS, Summary

# Points either side of zero, from a hundredth of a sigma to the largest move the bins know; and the points
# that stand for a bin's law.
_POINTS_A_SIDE = 200
_NEAREST = 0.01
_POINTS_A_BIN = 16
# Zero itself is a mass: two points enclose it.
_ZERO = 1e-9


class MoveGrid:
    """Turns probabilities of pairs of tokens into the distribution of the move, in units of sigma.

    Args:
        tokenizer: Fitted; its first channels are gap and body.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        levels = (np.arange(_POINTS_A_BIN) + 0.5) / _POINTS_A_BIN
        gap, body = (bin_values(tokenizer, channel, levels) for channel in (0, 1))
        moves = gap[:, None, :, None] + body[None, :, None, :]
        largest = max(float(np.abs(moves).max()), 2 * _NEAREST)
        side = np.geomspace(_NEAREST, largest, _POINTS_A_SIDE)
        self.points = np.concatenate([-side[::-1], [-_ZERO, _ZERO], side])
        flat = moves.reshape(moves.shape[0] * moves.shape[1], -1)
        cells = np.searchsorted(self.points, flat, side="left")
        size = len(self.points) + 1
        cells += np.arange(len(flat))[:, None] * size
        counts = np.bincount(cells.ravel(), minlength=len(flat) * size).reshape(-1, size)
        below = counts.cumsum(axis=1)[:, :-1] / flat.shape[1]
        self.below = below.astype(np.float32)
        """shape (P, G): share of each pair's law at or below each point."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> MoveGrid | None:
        """Return the grid, or None where a candle is not drawn gap and body first."""
        return cls(tokenizer) if tuple(tokenizer.channel_names[:2]) == ("gap", "body") else None


@dataclass(frozen=True, eq=False)
class CloseLaw:
    """The law of the next close's log return, of one horizon.

    Attributes:
        grid: shape (G,): moves in units of sigma.
        cdf: shape (R, N, G): distribution function of each pass, up to 1 at the last point.
        scale: shape (N, 1): log return of one sigma.
    """

    grid: NDArray[np.float64]
    cdf: NDArray[np.float64]
    scale: NDArray[np.float64]

    def at(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log returns at levels (Q,), shape (N, 1, Q): of the mixture of the passes."""
        pooled = self.cdf.mean(axis=0)
        found = np.stack([np.interp(levels, row, self.grid) for row in pooled])
        # A level inside the mass at zero is zero.
        found = np.where(np.abs(found) <= _ZERO, 0.0, found)
        return (found * self.scale)[:, None]

    def points(self) -> NDArray[np.float64]:
        """Return M equally likely log returns, (N, 1, M)."""
        return self.at((np.arange(NUM_POINTS) + 0.5) / NUM_POINTS)

    def summary(self) -> Summary:
        """Summarise; a tie counts half up."""
        mass = np.diff(self.cdf, axis=2, prepend=0.0)
        middle = np.concatenate([self.grid[:1], (self.grid[1:] + self.grid[:-1]) / 2])
        width = np.concatenate([[0.0], np.diff(self.grid)])
        means = mass @ middle
        variances = np.maximum(mass @ (middle**2 + width**2 / 12) - means**2, 0.0)
        spread = means.std(axis=0, ddof=1) if len(means) > 1 else np.zeros(means.shape[1])
        zero = np.searchsorted(self.grid, 0.0)
        pooled = self.cdf.mean(axis=0)
        return Summary(
            quantiles=self.at(LEVELS),
            p_up=1.0 - (pooled[:, zero - 1 : zero] + pooled[:, zero : zero + 1]) / 2,
            aleatoric=np.sqrt(variances.mean(axis=0))[:, None] * self.scale,
            epistemic=spread[:, None] * self.scale,
        )
