"""Do the intervals cover what they say, and do the misses come in clusters?

Kupiec, "Techniques for verifying the accuracy of risk measurement models", 1995; Christoffersen, "Evaluating
interval forecasts", 1998. Both take hits as independent draws. Hits of one symbol are taken from pairs whose
horizons do not overlap; hits of many symbols on one date are dependent, so the pooled likelihood ratios are
divided by the design effect (the clustered variance of the hit rate over that of independent draws: the
first-order correction of Rao and Scott 1981) before they are compared with chi-squared. The uncorrected p is
reported beside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import chi2

from marketgpt_training.evaluation.bootstrap import DateBlocks
from marketgpt_training.evaluation.pairs import Pairs

COVERAGES = (0.5, 0.8, 0.9, 0.98)
VAR_LEVELS = (0.01, 0.05)
_REJECTED_AT = 0.05
_FEWEST_EXPECTED = 1.0

Hits = NDArray[np.bool_]


def coverage_scores(quantile: Callable[[float], NDArray[np.float64]], pairs: Pairs) -> dict[str, Any]:
    """Return ``coverage`` (share inside by nominal share), ``coverage_tests`` and ``var`` as JSON values.

    ``var`` is value at risk: how often the return fell below the 1% and the 5% quantile.

    Args:
        quantile: From a level to that quantile of each forecast, shape (N,).
        pairs: What came.
    """
    coverage, tests = {}, {}
    for share in COVERAGES:
        low, high = quantile(0.5 - share / 2), quantile(0.5 + share / 2)
        inside = (pairs.outcome >= low) & (pairs.outcome <= high)
        coverage[f"{share:.2f}"] = float(inside.mean())
        tests[f"{share:.2f}"] = hit_tests(inside, share, pairs)
    var = {}
    for level in VAR_LEVELS:
        below = pairs.outcome < quantile(level)
        var[f"{level:.2f}"] = hit_tests(below, level, pairs, clustering=True)
    return {"coverage": coverage, "coverage_tests": tests, "var": var}


def hit_tests(hits: Hits, expected: float, pairs: Pairs, *, clustering: bool = False) -> dict[str, Any]:
    """Return the rate of hits with its block-bootstrap interval, and the tests that it is ``expected``.

    Keys: ``rate``, ``low``, ``high``; ``kupiec_p`` and, as if all hits were independent, ``kupiec_p_naive``;
    ``design_effect``; ``symbols_tested`` and ``symbols_rejected`` (share of symbols, each by itself, at 5%).
    With ``clustering`` also Christoffersen's ``independence_p`` and ``conditional_p``.

    Args:
        hits: shape (N,).
        expected: Their probability.
        pairs: Dates and symbols.
        clustering: Test whether hits follow hits, too.
    """
    rate, low, high = pairs.blocks.mean(hits.astype(np.float64))
    apart = pairs.apart
    chosen, symbols = hits[apart], pairs.symbols[apart]
    order = np.lexsort((pairs.dates[apart], symbols))
    n = np.bincount(symbols)
    n1 = np.bincount(symbols, weights=chosen).astype(np.int64)
    single = _p(_kupiec(n1, n, expected))
    tested = (n * min(expected, 1 - expected)) >= _FEWEST_EXPECTED
    effect = _design_effect(hits.astype(np.float64), expected, pairs)
    pooled = float(_kupiec(n1.sum(), n.sum(), expected))
    result: dict[str, Any] = {
        "expected": expected, "rate": rate, "low": low, "high": high, "design_effect": effect,
        "kupiec_p": float(_p(pooled / effect)), "kupiec_p_naive": float(_p(pooled)),
        "symbols_tested": int(tested.sum()),
        "symbols_rejected": float((single[tested] < _REJECTED_AT).mean()) if tested.any() else None,
    }  # fmt: skip
    if clustering:
        independence = _christoffersen(chosen[order], symbols[order])
        result["independence_p"] = float(_p(independence / effect))
        result["conditional_p"] = float(chi2.sf((pooled + independence) / effect, 2))
    return result


def _kupiec(hits: Any, total: Any, expected: float) -> NDArray[np.float64]:  # noqa: ANN401 - numbers or arrays
    """Return Kupiec's likelihood ratio of an unconditional hit rate."""
    misses = total - hits
    rate = hits / np.maximum(total, 1)
    free = xlogy(hits, rate) + xlogy(misses, 1 - rate)
    held = hits * np.log(expected) + misses * np.log(1 - expected)
    return np.asarray(np.maximum(2 * (free - held), 0.0))


def _p(ratio: Any) -> NDArray[np.float64]:  # noqa: ANN401 - a number or an array
    return np.asarray(chi2.sf(ratio, 1))


def _christoffersen(hits: Hits, symbols: NDArray[np.int64]) -> float:
    """Return the likelihood ratio that a hit is as likely after a hit as after none, within symbols.

    Args:
        hits: shape (N,), sorted by symbol, then date.
        symbols: shape (N,).
    """
    same = symbols[1:] == symbols[:-1]
    before, after = hits[:-1][same], hits[1:][same]
    n11, n10 = int((before & after).sum()), int((before & ~after).sum())
    n01, n00 = int((~before & after).sum()), int((~before & ~after).sum())
    rate = (n01 + n11) / max(len(before), 1)
    after_miss, after_hit = n01 / max(n00 + n01, 1), n11 / max(n10 + n11, 1)
    free = (
        xlogy(n01, after_miss)
        + xlogy(n00, 1 - after_miss)
        + xlogy(n11, after_hit)
        + xlogy(n10, 1 - after_hit)
    )
    held = xlogy(n01 + n11, rate) + xlogy(n00 + n10, 1 - rate)
    return float(max(2 * (free - held), 0.0))


def _design_effect(hits: NDArray[np.float64], expected: float, pairs: Pairs) -> float:
    """Return how much wider dates in common make the error of the hit rate, at least 1."""
    apart = pairs.apart
    # Dates that are apart do not overlap, so a block is one date.
    clustered = DateBlocks(pairs.dates[apart], block_dates=1).clustered_variance(hits[apart])
    independent = expected * (1 - expected) / int(apart.sum())
    return float(max(clustered / independent, 1.0)) if np.isfinite(clustered) else 1.0
