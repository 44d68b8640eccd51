"""Evaluating a forecaster on any candles and dates, beside the baselines, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.times import Moment, iso, to_datetime64
from marketgpt_training.evaluation.baselines import BASELINES, MIN_HISTORY, baseline_forecast
from marketgpt_training.evaluation.bootstrap import ratio_interval
from marketgpt_training.evaluation.scores import crps, horizon_scores, realised


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores, and the forecasts they came from.

    Attributes:
        results: JSON values: ``horizons`` -> bars -> ``models`` -> name -> scores, and ``against`` ->
            baseline -> ratio of CRPS with its 90% interval (below 1: the model is better).
        forecasts: By name, the model's first; all for the same (symbol, as-of) pairs.
    """

    results: dict[str, Any]
    forecasts: dict[str, Forecast]


def as_of_dates(
    candles: Candles, start: Moment | None, end: Moment | None, every: int
) -> list[np.datetime64]:
    """Return every ``every``-th session of ``[start, end)`` over all symbols.

    Raises:
        DataError: when there is none.
    """
    days = np.unique(np.concatenate([one.time for one in candles.values()]))
    first = days[0] if start is None else to_datetime64(start)
    last = days[-1] + np.timedelta64(1, "ns") if end is None else to_datetime64(end)
    chosen = days[(days >= first) & (days < last)][::every]
    if not len(chosen):
        raise DataError(
            f"no candle from {iso(first)} to {iso(last)}; the data run {iso(days[0])} to {iso(days[-1])}"
        )
    return list(chosen)


def evaluate(
    forecaster: Forecaster,
    candles: Candles,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    horizons: Sequence[int] = (1, 5, 10, 21, 42),
    every: int = 5,
    num_samples: int = 200,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Forecast every ``every``-th session of ``[start, end)`` and score it against what came.

    Args:
        forecaster: The model.
        candles: History and outcomes; forecasts use only what precedes them.
        start: First as-of date.
        end: First as-of date left out.
        horizons: Bars ahead.
        every: Sessions between as-of dates.
        num_samples: Samples a forecast, the same for model and baselines.
        seed: Same seed, same numbers.
        on_stage: Told what is being done.

    Raises:
        DataError: when nothing can be evaluated.
    """
    dates = as_of_dates(candles, start, end, every)
    on_stage("forecasting")
    made = forecaster.forecast(candles, horizons=horizons, as_of=dates, num_samples=num_samples, seed=seed)
    made = _judgeable(made, candles, dates[0])
    outcome = realised(made, candles)
    forecasts = {"model": made}
    for name in BASELINES:
        on_stage(f"baseline {name}")
        forecasts[name] = baseline_forecast(name, candles, made, num_samples=num_samples, seed=seed)
    by_horizon = _by_horizon(forecasts, outcome, every=every, seed=seed)
    if not by_horizon:
        raise DataError("nothing can be scored: no forecast horizon ends within the data")
    results = {
        "model_id": made.model_id,
        "data_fingerprint": made.data_fingerprint,
        "from": iso(made.as_of.min()),
        "to": iso(made.as_of.max()),
        "symbols": sorted(set(made.symbols)),
        "forecasts": len(made),
        "every_sessions": every,
        "num_samples": num_samples,
        "interval_level": 0.9,
        "horizons": by_horizon,
    }
    return Evaluation(results, forecasts)


def _by_horizon(
    forecasts: dict[str, Forecast], outcome: NDArray[np.float64], *, every: int, seed: int
) -> dict[str, Any]:
    """Return the scores of each horizon that ends within the data; ``outcome`` has shape (N, H)."""
    made = forecasts["model"]
    losses = {name: crps(forecast, outcome) for name, forecast in forecasts.items()}
    scored = {}
    for position, horizon in enumerate(made.horizons):
        known = np.isfinite(outcome[:, position])
        if not known.any():
            continue
        against = {}
        for name in BASELINES:
            ratio, low, high = ratio_interval(
                losses["model"][known, position],
                losses[name][known, position],
                made.as_of[known],
                block_dates=int(horizon) // every + 1,
                seed=seed,
            )
            against[name] = {"crps_ratio": ratio, "low": low, "high": high}
        models = {name: horizon_scores(forecast, outcome, position) for name, forecast in forecasts.items()}
        scored[str(int(horizon))] = {"models": models, "against": against}
    return scored


def _judgeable(forecast: Forecast, candles: Candles, first: np.datetime64) -> Forecast:
    """Keep pairs dated in the range (a symbol that ended long ago has only its old last candle) and with
    history enough for every baseline; several as-of dates may share one candle, which counts once.
    """  # noqa: D205
    keep, seen = np.zeros(len(forecast), dtype=bool), set()
    for i, (symbol, moment) in enumerate(zip(forecast.symbols, forecast.as_of, strict=True)):
        row = int(np.searchsorted(candles[symbol].time, moment))
        keep[i] = moment >= first and row >= MIN_HISTORY and (symbol, moment) not in seen
        seen.add((symbol, moment))
    if not keep.any():
        raise DataError(f"no symbol has a candle in the range and {MIN_HISTORY} before it")
    return forecast.rows(keep)
