"""What the folds of a walk-forward say together: sample by sample, fold by fold, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from marketgpt_training.evaluation.bootstrap import INTERVAL_LEVEL, verdict

Floats = NDArray[np.float64]

BASELINE = "garch_t"
# The population stability index divides by shares; an empty cell counts as half a candle.
_HALF = 0.5


def pooled_ratio(ratios: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Pool folds' ratios by their inverse variance, and test whether they are of one size.

    On the log scale; a fold's standard error is its interval's width. Cochran, "The combination of estimates
    from different experiments", 1954; I squared of Higgins and Thompson, "Quantifying heterogeneity in a
    meta-analysis", 2002.

    Args:
        ratios: ``ratio``, ``low`` and ``high`` of each fold.

    Returns:
        ``ratio``, ``low``, ``high`` and ``verdict``; ``q`` with its ``q_p`` (small: the folds differ beyond
        chance; None of one fold) and ``i_squared``, the share of the spread that is not chance.
    """
    logs = np.log([one["ratio"] for one in ratios])
    width = 2 * norm.ppf((1 + INTERVAL_LEVEL) / 2)
    errors = np.log([one["high"] / one["low"] for one in ratios]) / width
    # An interval without width would carry all the weight.
    weights = 1.0 / np.maximum(errors, 1e-6) ** 2
    centre = float((weights * logs).sum() / weights.sum())
    half = width / 2 / weights.sum() ** 0.5
    q = float((weights * (logs - centre) ** 2).sum())
    freedom = len(logs) - 1
    low, high = np.exp(centre - half), np.exp(centre + half)
    return {
        "ratio": float(np.exp(centre)),
        "low": float(low),
        "high": float(high),
        "verdict": verdict(float(low), float(high)),
        "q": q,
        "q_p": float(chi2.sf(q, freedom)) if freedom else None,
        "i_squared": max(0.0, 1.0 - freedom / q) if q > 0 else 0.0,
    }


def stability_index(before: Floats, after: Floats) -> float:
    """Return the population stability index of two sets of counts over the same cells.

    The sum of (p - q) ln(p / q): Jeffreys' divergence. By custom, below 0.1 nothing has moved.
    """
    p, q = ((counts + _HALF) / (counts + _HALF).sum() for counts in (before, after))
    return float(((p - q) * np.log(p / q)).sum())


def consistency(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return, by horizon, the pooled ratio to GARCH-t and how many folds the model is better in.

    Args:
        folds: ``crps`` -> bars -> ``ratio``, ``low``, ``high`` of each.
    """
    horizons = [h for h in folds[0]["crps"] if all(h in one["crps"] for one in folds)]
    result = {}
    for horizon in horizons:
        ratios = [one["crps"][horizon] for one in folds]
        result[horizon] = {
            **pooled_ratio(ratios),
            "better_folds": sum(one["ratio"] < 1.0 for one in ratios),
            "folds": len(ratios),
        }
    return result
