"""Up or down: how often right, how well calibrated, and beside whom.

A return of zero counts as not up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.quantile_law import QuantileLaw

Floats = NDArray[np.float64]

NUM_BINS = 10
_COIN = 0.5


def direction_scores(p_up: Floats, pairs: Pairs) -> dict[str, Any]:
    """Return accuracy beside always up, Brier with its parts, ECE with its floor, AUC, reliability bins.

    Args:
        p_up: shape (N,).
        pairs: What came.
    """
    is_up = (pairs.outcome > 0).astype(np.float64)
    reliability = reliability_bins(p_up, is_up)
    weights = np.array([row["count"] for row in reliability]) / len(p_up)
    gaps = np.array([abs(row["forecast"] - row["observed"]) for row in reliability])
    right = ((p_up > _COIN) == (is_up > 0)).astype(np.float64)
    error = pairs.blocks.clustered_variance(right) ** 0.5
    return {
        "brier": float(np.mean((p_up - is_up) ** 2)),
        "brier_parts": brier_parts(p_up, is_up),
        "ece": float((weights * gaps).sum()),
        "ece_floor": _ece_floor(p_up, is_up, pairs),
        "auc": auc(p_up, is_up),
        "direction_accuracy": float(right.mean()),
        "direction_standard_error": error if np.isfinite(error) else None,
        "always_up_accuracy": float(is_up.mean()),
        "beside_always_up": beside_always_up(p_up > _COIN, is_up > 0, pairs),
        "reliability": reliability,
    }


def _bins(p_up: Floats) -> list[NDArray[np.int64]]:
    order = np.argsort(p_up, kind="stable")
    return [piece for piece in np.array_split(order, NUM_BINS) if len(piece)]


def reliability_bins(p_up: Floats, is_up: Floats) -> list[dict[str, float]]:
    """Return mean forecast, observed frequency and count in bins of equal count, lowest forecast first."""
    return [
        {
            "forecast": float(p_up[piece].mean()),
            "observed": float(is_up[piece].mean()),
            "count": float(len(piece)),
        }
        for piece in _bins(p_up)
    ]


def brier_parts(p_up: Floats, is_up: Floats) -> dict[str, float]:
    """Return ``reliability``, ``resolution``, ``uncertainty`` and ``within_bins``.

    Murphy, "A new vector partition of the probability score", 1973, in bins of equal count: Brier =
    reliability - resolution + uncertainty + what forecasts of one bin differ among themselves.
    """
    base = is_up.mean()
    reliability = resolution = 0.0
    for piece in _bins(p_up):
        share, said, came = len(piece) / len(p_up), p_up[piece].mean(), is_up[piece].mean()
        reliability += share * (said - came) ** 2
        resolution += share * (came - base) ** 2
    uncertainty = base * (1 - base)
    brier = np.mean((p_up - is_up) ** 2)
    return {
        "reliability": float(reliability),
        "resolution": float(resolution),
        "uncertainty": float(uncertainty),
        "within_bins": float(brier - reliability + resolution - uncertainty),
    }


def _ece_floor(p_up: Floats, is_up: Floats, pairs: Pairs) -> float | None:
    """Return the ECE that a perfectly calibrated forecast of as many, equally dependent pairs would show.

    A bin's gap is then normal with the clustered variance of its errors: E|gap| = sqrt(2 variance / pi).
    """
    block = pairs.blocks.index // pairs.blocks.block_dates
    if block.max() < 1:
        return None
    error, total = is_up - p_up, 0.0
    for piece in _bins(p_up):
        sums = np.bincount(block[piece], weights=error[piece] - error[piece].mean())
        total += np.sqrt((sums**2).sum())
    return float(np.sqrt(2 / np.pi) * total / len(p_up))


def auc(p_up: Floats, is_up: Floats) -> float | None:
    """Return the probability that a rise was given a higher P(up) than a fall; None without both."""
    ups = is_up.sum()
    falls = len(is_up) - ups
    if not ups or not falls:
        return None
    ranks = rankdata(p_up)
    return float((ranks[is_up > 0].sum() - ups * (ups + 1) / 2) / (ups * falls))


def beside_always_up(said_up: NDArray[np.bool_], is_up: NDArray[np.bool_], pairs: Pairs) -> dict[str, Any]:
    """Return the accuracy's ``difference`` to always up with its interval, ``mcnemar_p`` and the verdict.

    McNemar 1947, exact: of the pairs where the two differ, how many each has right. It takes pairs as
    independent and those without overlap are used; the interval resamples blocks of dates, which are not.
    """
    right = (said_up == is_up).astype(np.float64)
    difference, low, high = pairs.blocks.mean(right - is_up)
    ours = int((~said_up & ~is_up & pairs.apart).sum())
    theirs = int((~said_up & is_up & pairs.apart).sum())
    p = float(binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0
    # Accuracy is the better the higher, unlike every loss.
    said = "better" if low > 0 else "worse" if high < 0 else "undecided"
    return {"difference": difference, "low": low, "high": high, "mcnemar_p": p, "verdict": said}


def tercile_scores(law: QuantileLaw, edges: Floats, outcome: Floats) -> dict[str, float]:
    """Return accuracy and ranked probability score over three classes: a third and 4/9 without skill.

    Epstein, "A scoring system for probability forecasts of ranked categories", 1969.

    Args:
        law: Of N forecasts.
        edges: shape (N, 2): lower and upper tercile of the returns known at each as-of date.
        outcome: shape (N,).
    """
    up_to = np.stack([law.cdf(edges[:, 0]), law.cdf(edges[:, 1])], axis=1)
    probability = np.diff(up_to, axis=1, prepend=0.0, append=1.0)
    came = (outcome[:, None] > edges).sum(axis=1)
    happened = np.stack([came <= 0, came <= 1], axis=1)
    return {
        "tercile_accuracy": float((probability.argmax(axis=1) == came).mean()),
        "tercile_rps": float(((up_to - happened) ** 2).sum(axis=1).mean()),
    }
