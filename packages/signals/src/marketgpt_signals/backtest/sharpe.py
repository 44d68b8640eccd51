"""How likely a Sharpe ratio is skill: probabilistic, and deflated by how many were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, variance

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_signals.backtest.measures import NO_SPREAD, skewness_and_kurtosis

_NORMAL = NormalDist()
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class SharpeMoments:
    """What the distribution of a Sharpe ratio depends on; all of single bars, nothing a year.

    Attributes:
        sharpe: Mean over standard deviation of the bars' returns.
        num_returns: How many.
        skewness: Third standardised moment.
        kurtosis: Fourth standardised moment, 3 for a normal law.
    """

    sharpe: float
    num_returns: int
    skewness: float
    kurtosis: float

    @classmethod
    def of(cls, returns: NDArray[np.float64]) -> SharpeMoments | None:
        """Measure simple returns, shape (T,); None with fewer than three or without spread."""
        if len(returns) < 3 or returns.std(ddof=1) <= NO_SPREAD:  # noqa: PLR2004 - a skewness needs three
            return None
        skewness, kurtosis = skewness_and_kurtosis(returns)
        return cls(
            sharpe=float(returns.mean() / returns.std(ddof=1)),
            num_returns=len(returns),
            skewness=skewness,
            kurtosis=kurtosis,
        )


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio after what was tried to find it.

    Attributes:
        probability: That the true ratio exceeds ``threshold``.
        threshold: The largest ratio to be expected of so many trials without skill, of single bars.
        num_trials: Trials, this one included.
    """

    probability: float
    threshold: float
    num_trials: int


def probabilistic_sharpe(moments: SharpeMoments, threshold: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds a threshold.

    With s the ratio, n returns, g3 skewness and g4 kurtosis, z = (s - threshold) sqrt(n - 1) /
    sqrt(1 - g3 s + (g4 - 1) / 4 s^2), and the probability is that of a normal law below z (Bailey and Lopez
    de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15, 2012, equation 11). Returns count as
    independent; positions that last longer than a bar make them that only as far as prices are.

    Args:
        moments: Of the bars' returns.
        threshold: Sharpe ratio of a single bar.
    """
    s = moments.sharpe
    spread = 1 - moments.skewness * s + (moments.kurtosis - 1) / 4 * s * s
    # Pearson: g4 >= g3^2 + 1, so that the form is never negative; zero only for two-valued returns.
    z = (s - threshold) * math.sqrt(moments.num_returns - 1) / math.sqrt(max(spread, NO_SPREAD))
    return _NORMAL.cdf(z)


def expected_best(num_trials: int, spread: float) -> float:
    """Return the largest Sharpe ratio to be expected of trials without skill.

    spread x ((1 - e) Z(1 - 1/N) + e Z(1 - 1/(N exp 1))), e Euler's constant and Z the normal quantile (Bailey
    and Lopez de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40, 2014, equation 1). One
    trial is no choice: 0.

    Args:
        num_trials: N, at least 1, that do not depend on each other; alike ones make it too large.
        spread: Standard deviation of the trials' Sharpe ratios.

    Raises:
        DataError: for no trial.
    """
    if num_trials < 1:
        raise DataError(f"a Sharpe ratio is of at least 1 trial, got {num_trials}")
    if num_trials == 1:
        return 0.0
    far = _NORMAL.inv_cdf(1 - 1 / num_trials)
    farther = _NORMAL.inv_cdf(1 - 1 / (num_trials * math.e))
    return spread * ((1 - _EULER) * far + _EULER * farther)


def deflated_sharpe(moments: SharpeMoments, trials: Sequence[float]) -> DeflatedSharpe:
    """Return the probability that the true Sharpe ratio exceeds what so many trials find by luck.

    The probabilistic Sharpe ratio against :func:`expected_best` of as many trials as there are, with the
    spread of their ratios (Bailey and Lopez de Prado 2014, equation 2).

    Args:
        moments: Of the one that was chosen.
        trials: Sharpe ratios of single bars of everything that was tried, the chosen one included.

    Raises:
        DataError: for no trial, or one that is not finite.
    """
    if not all(math.isfinite(trial) for trial in trials):
        raise DataError("Sharpe ratios of trials must be finite; leave out those that never traded")
    threshold = expected_best(len(trials), math.sqrt(variance(trials)) if len(trials) > 1 else 0.0)
    return DeflatedSharpe(probabilistic_sharpe(moments, threshold), threshold, len(trials))
