"""What a baseline hands over, and what the baselines share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries
from marketgpt_core.forecast import QUANTILE_LEVELS

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MIN_HISTORY = 252
REFIT_BARS = 60
FIT_WINDOW_BARS = 2_500
LEVELS = np.asarray(QUANTILE_LEVELS)
# 1,000 paths of four endings cost GARCH-t at most 0.08% of CRPS and 0.013 nats beside 16,000 (24 US stocks,
# 2017-19).
_ENDINGS = 4


@dataclass(frozen=True)
class ClosedLaw:
    """Location-scale Student t laws of N rows and H horizons, shape (N, H); NaN where there is no closed law.

    Attributes:
        location: Log return.
        scale: Log return; not the standard deviation but for infinite freedom.
        freedom: Degrees of freedom; infinite for a normal law.
    """

    location: Floats
    scale: Floats
    freedom: Floats

    def at(self, rows: NDArray[np.bool_], position: int) -> ClosedLaw:
        """Return the laws of some rows and one horizon, shape (N,)."""
        return ClosedLaw(
            self.location[rows, position], self.scale[rows, position], self.freedom[rows, position]
        )

    def log_density(self, outcome: Floats) -> Floats:
        """Return the natural log of the density, shape (N, H), per unit of log return."""
        from scipy.special import gammaln

        z = (outcome - self.location) / self.scale
        nu = np.where(np.isinf(self.freedom), 1.0, self.freedom)
        student = (
            gammaln((nu + 1) / 2)
            - gammaln(nu / 2)
            - 0.5 * np.log(nu * np.pi)
            - (nu + 1) / 2 * np.log1p(z * z / nu)
        )
        normal = -0.5 * (z * z + np.log(2 * np.pi))
        return np.asarray(np.where(np.isinf(self.freedom), normal, student) - np.log(self.scale))


@dataclass(frozen=True)
class Law:
    """What a baseline says of N rows of one symbol and H horizons.

    Attributes:
        quantiles: shape (N, H, 27), of the cumulative log return, at :data:`LEVELS`.
        p_up: shape (N, H).
        closed: The same law in closed form, where there is one.
        counts: What is worth knowing of the fits: ``fits``, ``not_converged`` ...
    """

    quantiles: Floats
    p_up: Floats
    closed: ClosedLaw | None = None
    counts: dict[str, int] = field(default_factory=dict)


Baseline = Callable[[CandleSeries, Rows, Sequence[int], int, np.random.Generator], Law]
"""A function of (series, as-of rows, horizons, paths where the law must be simulated, generator)."""


def refit_groups(rows: Rows, refit_bars: int = REFIT_BARS) -> list[tuple[int, NDArray[np.int64]]]:
    """Return (row of the refit, positions in ``rows``) in time order.

    A model is refitted on rows that are multiples of ``refit_bars``, with what was known then, whatever rows
    are asked for; so a forecast does not depend on which others are made.
    """
    refits = (rows // refit_bars) * refit_bars
    return [(int(refit), np.flatnonzero(refits == refit)) for refit in np.unique(refits)]


def ordered_quantiles(ordered: Floats) -> Floats:
    """Return the quantiles at :data:`LEVELS` of samples sorted along the last axis, shape (..., 27).

    Sample i of S stands for the level (i + 1/2) / S, linear between, flat beyond: without the bias towards
    the middle that the usual (i / (S - 1)) has in the tails.
    """
    size = ordered.shape[-1]
    place = np.clip(LEVELS * size - 0.5, 0, size - 1)
    left = place.astype(np.int64)
    right = np.minimum(left + 1, size - 1)
    low, high = ordered[..., left], ordered[..., right]
    return np.asarray(low + (place - left) * (high - low))


def share_above_zero(ordered: Floats) -> Floats:
    """Return the share of positive samples, half of the zeros counted, shape (...)."""
    return np.asarray((ordered > 0).mean(axis=-1) + 0.5 * (ordered == 0).mean(axis=-1))


def simulate(
    step: Callable[[Floats, Floats], tuple[Floats, Floats]],
    state: Floats,
    horizons: Sequence[int],
    uniforms: Floats,
) -> tuple[Floats, Floats]:
    """Simulate paths and return (quantiles (N, H, 27), p_up (N, H)).

    At each horizon every path ends in several ways: its last bar is drawn anew from the draws of other
    paths, which are as good as its own. That takes most of the noise out of the quantiles at a fraction of
    the cost of more paths.

    Args:
        step: From a bar's uniforms, shape (S,), and the state to (log returns, next state).
        state: shape (N, S) or (N, 1).
        horizons: Bars ahead, increasing.
        uniforms: shape (bars, S), see :func:`latin_hypercube`.
    """
    total: Floats | float = 0.0
    quantiles = np.empty((len(state), len(horizons), len(LEVELS)))
    p_up = np.empty((len(state), len(horizons)))
    wanted = {int(horizon): position for position, horizon in enumerate(horizons)}
    turn = uniforms.shape[1] // _ENDINGS
    for bar in range(max(wanted)):
        moved, following = step(uniforms[bar], state)
        if bar + 1 in wanted:
            # One bar ahead all paths stand at the same place, and other draws would be the same again.
            others = [
                step(np.roll(uniforms[bar], turn * k), state)[0] for k in range(1, _ENDINGS if bar else 1)
            ]
            ordered = np.sort(np.concatenate([total + one for one in (moved, *others)], axis=1), axis=1)
            quantiles[:, wanted[bar + 1]] = ordered_quantiles(ordered)
            p_up[:, wanted[bar + 1]] = share_above_zero(ordered)
        total, state = total + moved, following
    return quantiles, p_up


def latin_hypercube(num_bars: int, num_paths: int, rng: np.random.Generator) -> Floats:
    """Return uniforms, shape (num_bars, num_paths): in each bar one from each of ``num_paths`` equal strata.

    McKay, Beckman and Conover, "A comparison of three methods for selecting values of input variables",
    1979. The law of a single bar comes out nearly exact, and sums of bars with far less noise than
    independent draws have: an ensemble of S independent draws pays about 1/S of its CRPS for its noise,
    which would flatter its rivals.
    """
    strata = np.broadcast_to(np.arange(num_paths), (num_bars, num_paths))
    return np.asarray((rng.permuted(strata, axis=1) + rng.random((num_bars, num_paths))) / num_paths)
