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
from marketgpt_training.evaluation.baselines import (
    BASELINES,
    BaselineForecast,
    ClosedLaw,
    forecast_baseline,
    least_history,
)
from marketgpt_training.evaluation.bootstrap import INTERVAL_LEVEL
from marketgpt_training.evaluation.comparisons import against, by_category, by_quarter
from marketgpt_training.evaluation.leaks import suspicions
from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.quantile_law import QuantileLaw
from marketgpt_training.evaluation.scores import crps, horizon_scores, log_densities, realised
from marketgpt_training.evaluation.tokens import TokenLaws, token_section
from marketgpt_training.evaluation.volatility import (
    forecast_variances,
    har_forecasts,
    realised_variance,
    volatility_section,
)
from marketgpt_training.splits import sessions

Floats = NDArray[np.float64]

MODEL = "model"
# An ensemble of S draws pays about 1 / S of its CRPS for its noise; a baseline must not lose by that.
BASELINE_PATHS = 1_000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores, and the forecasts they came from.

    Attributes:
        results: JSON values: ``horizons`` -> bars -> ``models`` -> name -> scores, and ``against`` ->
            baseline -> ratio of CRPS with its 90% interval (below 1: the model is better); beside them
            ``volatility``, ``categories``, ``quarters``. ``tokens`` where the forecaster scores tokens.
        forecasts: By name, the model's first; all for the same (symbol, as-of) pairs.
    """

    results: dict[str, Any]
    forecasts: dict[str, Forecast]


@dataclass(frozen=True, eq=False)
class _Scored:
    """What every horizon's scores are made of: (N, H) arrays by forecaster.

    Attributes:
        forecasts: By name.
        closed: Closed laws by name, of those that have them.
        outcome: Returns that came.
        losses: CRPS by name.
        variances: Forecast variances by name, log-HAR's too.
        variance: Variance that came.
    """

    forecasts: dict[str, Forecast]
    closed: dict[str, ClosedLaw]
    outcome: Floats
    losses: dict[str, Floats]
    variances: dict[str, Floats]
    variance: Floats


def as_of_dates(
    candles: Candles, start: Moment | None, end: Moment | None, every: int
) -> list[np.datetime64]:
    """Return every ``every``-th session of ``[start, end)`` over all symbols.

    Raises:
        DataError: when there is none.
    """
    days = sessions(candles)
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
    market: Candles | None = None,
    token_laws: Callable[[], TokenLaws | None] = lambda: None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Forecast every ``every``-th session of ``[start, end)`` and score it against what came.

    Args:
        forecaster: The model. One with ``token_scores`` (see :mod:`marketgpt_training.evaluation.tokens`)
            has its tokens scored too.
        candles: History and outcomes; forecasts use only what precedes them.
        start: First as-of date.
        end: First as-of date left out.
        horizons: Bars ahead.
        every: Sessions between as-of dates.
        num_samples: Samples a forecast of the model; baselines have closed laws or 1,000 paths.
        seed: Same seed, same numbers.
        market: More candles that tell the state of the markets, ``candles`` included; None: these alone.
        token_laws: Makes the token laws of the training part, when tokens are scored.
        on_stage: Told what is being done.

    Raises:
        DataError: when nothing can be evaluated.
    """
    dates = as_of_dates(candles, start, end, every)
    on_stage(f"forecast {len(candles):,} symbols at {len(dates):,} dates")
    beside: dict[str, Any] = {} if market is None else {"symbols": candles.symbols}
    made = forecaster.forecast(
        market or candles, horizons=horizons, as_of=dates, num_samples=num_samples, seed=seed, **beside
    )
    made = _judgeable(made, candles, dates[0])
    baselines = _baselines(made, candles, seed=seed, on_stage=on_stage)
    on_stage("baseline log_har, scores")
    scored = _score(made, baselines, candles)
    by_horizon = {}
    for position, horizon in enumerate(made.horizons):
        pairs, known = Pairs.of(made, candles, scored.outcome, position, every=every, seed=seed)
        if len(pairs):
            by_horizon[str(int(horizon))] = _horizon(scored, pairs, known, position)
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
        "baseline_paths": BASELINE_PATHS,
        "baseline_fits": {name: one.counts for name, one in baselines.items() if one.counts},
        "interval_level": INTERVAL_LEVEL,
        "suspicions": suspicions(by_horizon),
        "horizons": by_horizon,
    }
    on_stage("tokens")
    tokens = token_section(
        forecaster, market or candles, start=dates[0], end=end, laws=token_laws, seed=seed, **beside
    )
    return Evaluation(results | ({"tokens": tokens} if tokens else {}), scored.forecasts)


def _baselines(
    made: Forecast, candles: Candles, *, seed: int, on_stage: Callable[[str], None]
) -> dict[str, BaselineForecast]:
    found = {}
    for name in BASELINES:
        on_stage(f"baseline {name}, {len(made):,} forecasts")
        found[name] = forecast_baseline(name, candles, made, num_paths=BASELINE_PATHS, seed=seed)
    return found


def _score(made: Forecast, baselines: dict[str, BaselineForecast], candles: Candles) -> _Scored:
    forecasts = {MODEL: made} | {name: one.forecast for name, one in baselines.items()}
    outcome = realised(made, candles)
    return _Scored(
        forecasts=forecasts,
        closed={name: one.closed for name, one in baselines.items() if one.closed is not None},
        outcome=outcome,
        losses={name: crps(forecast, outcome) for name, forecast in forecasts.items()},
        variances={name: forecast_variances(forecast) for name, forecast in forecasts.items()}
        | {"log_har": har_forecasts(made, candles)},
        variance=realised_variance(made, candles),
    )


def _horizon(scored: _Scored, pairs: Pairs, known: NDArray[np.bool_], position: int) -> dict[str, Any]:
    """Return everything that is said of one horizon."""
    losses = {name: values[known, position] for name, values in scored.losses.items()}
    rows = {name: forecast.rows(known) for name, forecast in scored.forecasts.items()}
    laws = {name: QuantileLaw.of(forecast, position) for name, forecast in rows.items()}
    climate = rows["random_walk"]
    edges = np.stack([climate.quantile(level)[:, position] for level in (1 / 3, 2 / 3)], axis=1)
    models = {}
    for name, forecast in rows.items():
        closed = scored.closed.get(name)
        mine = None if closed is None else closed.at(known, position)
        models[name] = horizon_scores(
            forecast, pairs, position, losses=losses[name], edges=edges, closed=mine
        )
    densities = {name: log_densities(law, pairs.outcome) for name, law in laws.items()}
    variances = {name: values[known, position] for name, values in scored.variances.items()}
    ours = rows[MODEL]
    return {
        "models": models,
        "against": against(MODEL, losses, densities, pairs),
        "volatility": volatility_section(variances, scored.variance[known, position], pairs),
        "categories": by_category(MODEL, losses, lambda level: ours.quantile(level)[:, position], pairs),
        "quarters": by_quarter(MODEL, losses, pairs),
    }


def _judgeable(forecast: Forecast, candles: Candles, first: np.datetime64) -> Forecast:
    """Keep pairs dated in the range (a symbol that ended long ago has only its old last candle) and with
    history enough for every baseline; several as-of dates may share one candle, which counts once.
    """  # noqa: D205
    keep, seen = np.zeros(len(forecast), dtype=bool), set()
    least = least_history(forecast.horizons.tolist())
    for i, (symbol, moment) in enumerate(zip(forecast.symbols, forecast.as_of, strict=True)):
        row = int(np.searchsorted(candles[symbol].time, moment))
        keep[i] = moment >= first and row >= least and (symbol, moment) not in seen
        seen.add((symbol, moment))
    if not keep.any():
        raise DataError(f"no symbol has a candle in the range and {least} before it")
    return forecast.rows(keep)
