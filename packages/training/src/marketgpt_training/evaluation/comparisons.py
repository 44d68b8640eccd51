"""The model against each baseline: as a whole, by market, and as time goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_training.evaluation.bootstrap import diebold_mariano, verdict
from marketgpt_training.evaluation.pairs import Pairs

Floats = NDArray[np.float64]

_FEWEST_PAIRS = 100
_CATEGORY_COVERAGES = (0.5, 0.9)


def against(
    model: str, crps: Mapping[str, Floats], density: Mapping[str, Floats], pairs: Pairs
) -> dict[str, Any]:
    """Return the model's comparison with every other forecaster, by name, as JSON values.

    ``crps_ratio``, ``low``, ``high``, ``verdict``, ``dm_t`` and ``dm_p``; and under ``nll`` the
    ``difference`` in nats (negative: the model is better) with its interval and verdict, over outcomes that
    have a density.

    Args:
        model: Name of the model among the forecasters.
        crps: By forecaster, shape (N,).
        density: Log densities by forecaster, shape (N,), NaN where there is none.
        pairs: Dates and symbols.
    """
    kept = np.isfinite(density[model])
    result = {}
    for name in crps:
        if name == model:
            continue
        result[name] = {
            **_ratio(crps[model], crps[name], pairs),
            **diebold_mariano(crps[model], crps[name], pairs.blocks),
        }
        if kept.any():
            chosen = pairs.select(kept)
            mean, low, high = chosen.blocks.mean((density[name] - density[model])[kept])
            result[name]["nll"] = {
                "difference": mean, "low": low, "high": high, "verdict": verdict(low, high, even=0.0),
            }  # fmt: skip
    return result


def _ratio(ours: Floats, theirs: Floats, pairs: Pairs) -> dict[str, Any]:
    ratio, low, high = pairs.blocks.ratio(ours, theirs)
    return {"crps_ratio": ratio, "low": low, "high": high, "verdict": verdict(low, high)}


def by_category(
    model: str, crps: Mapping[str, Floats], quantile: Callable[[float], Floats], pairs: Pairs
) -> dict[str, Any]:
    """Return, by market: ``count``, ``symbols``, ``crps``, ``coverage`` with intervals, and ``against``.

    A market with fewer than 100 pairs is left out: its interval would be wider than any answer.
    """
    result = {}
    for category in np.unique(pairs.categories):
        chosen = pairs.categories == category
        if chosen.sum() < _FEWEST_PAIRS:
            continue
        part = pairs.select(chosen)
        coverage = {}
        for share in _CATEGORY_COVERAGES:
            inside = (pairs.outcome >= quantile(0.5 - share / 2)) & (
                pairs.outcome <= quantile(0.5 + share / 2)
            )
            rate, low, high = part.blocks.mean(inside[chosen].astype(np.float64))
            coverage[f"{share:.2f}"] = {"rate": rate, "low": low, "high": high}
        result[str(category)] = {
            "count": len(part),
            "symbols": len(np.unique(part.symbols)),
            "crps": float(crps[model][chosen].mean()),
            "coverage": coverage,
            "against": {
                name: _ratio(crps[model][chosen], losses[chosen], part)
                for name, losses in crps.items()
                if name != model
            },
        }
    return result


def by_quarter(model: str, crps: Mapping[str, Floats], pairs: Pairs) -> list[dict[str, Any]]:
    """Return, by calendar quarter of the as-of dates: ``quarter``, ``count``, ``crps_ratio`` by baseline."""
    months = pairs.dates.astype("datetime64[M]").astype(np.int64)
    quarters = months // 3
    rows = []
    for quarter in np.unique(quarters):
        chosen = quarters == quarter
        ratios = {
            name: float(crps[model][chosen].sum() / losses[chosen].sum())
            for name, losses in crps.items()
            if name != model
        }
        label = f"{1970 + quarter // 4}Q{quarter % 4 + 1}"
        rows.append({"quarter": label, "count": int(chosen.sum()), "crps_ratio": ratios})
    return rows
