"""How much better than GARCH(1,1)-t a density can be: what hindsight of volatility alone would gain.

Nobody can know these factors in advance. Each is the one that, put on the spread of a GARCH(1,1)-t law
refitted every 60 days, makes the CRPS of the outcomes of its group smallest: one for all, one a symbol,
one a date (perfect foresight of how volatile the whole market will be from each date on). Where even a factor
a date gains 2.5%, a model that claims 3% from daily candles has to know more than that of single symbols. Run
it with::

    uv run python benchmarks/density_headroom.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketgpt_core import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_data_sources import load_candles
from marketgpt_training.evaluation.baselines import forecast_baseline
from marketgpt_training.evaluation.scores import crps, realised

HORIZONS = (1, 5, 10, 21)
FACTORS = np.exp(np.linspace(-1.2, 1.2, 61))


def pairs(candles: Candles, symbols: list[str], dates: NDArray[np.datetime64]) -> Forecast:
    """Return an empty forecast of the pairs whose symbol traded on the date, with a year before it."""
    rows = []
    for date in dates:
        for symbol in symbols:
            at = int(np.searchsorted(candles[symbol].time, date))
            if 252 <= at < len(candles[symbol]) and candles[symbol].time[at] == date:  # noqa: PLR2004 - a year
                rows.append((symbol, date, candles[symbol].close[at]))
    shape = (len(rows), len(HORIZONS))
    return Forecast(
        symbols=tuple(row[0] for row in rows),
        as_of=np.array([row[1] for row in rows]),
        close=np.array([row[2] for row in rows]),
        horizons=np.array(HORIZONS),
        levels=np.array([0.1, 0.5, 0.9]),
        quantiles=np.zeros((*shape, 3)),
        p_up=np.full(shape, 0.5),
        aleatoric=np.zeros(shape),
        epistemic=np.zeros(shape),
        interval=candles.interval,
        model_id="pairs",
        data_fingerprint=candles.fingerprint(),
    )


def widened(made: Forecast, factor: float) -> Forecast:
    """Return the forecast with its spread about the median multiplied."""
    median = made.quantile(0.5)[..., None]
    return replace(made, quantiles=median + factor * (made.quantiles - median))


def hindsight(scores: NDArray[np.float64], groups: NDArray[np.generic]) -> float:
    """Return the mean score when each group takes the factor best for it."""
    _, number = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(number, weights=row) for row in scores])
    return float(sums.min(axis=0).sum() / scores.shape[1])


def main() -> int:
    """Print a row a horizon: CRPS with hindsight over CRPS without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of Parquet files with daily candles")
    parser.add_argument("--category", default="us")
    parser.add_argument("--symbols", type=int, default=120, help="so many, by chance")
    parser.add_argument("--from", dest="start", default="2017-01-01")
    parser.add_argument("--to", dest="end", default="2019-05-01")
    parser.add_argument("--every", type=int, default=5)
    arguments = parser.parse_args()
    candles = load_candles(f"parquet:{arguments.data}")
    names = [one.symbol for one in candles.values() if one.category == arguments.category]
    chosen = sorted(np.random.default_rng(0).permutation(names)[: arguments.symbols].tolist())
    candles = Candles(candles[name] for name in chosen)
    within = candles.between(arguments.start, arguments.end)
    dates = np.unique(np.concatenate([one.time for one in within.values()]))[:: arguments.every]
    made = forecast_baseline(
        "garch_t", candles, pairs(candles, chosen, dates), num_paths=1_000, seed=0
    ).forecast
    outcome = realised(made, candles)
    scores = np.stack([crps(widened(made, factor), outcome) for factor in FACTORS])
    plain = crps(made, outcome)
    for h, horizon in enumerate(HORIZONS):
        known = np.isfinite(outcome[:, h])
        base = plain[known, h].mean()
        groups = {
            "one": np.zeros(len(made)),
            "a_symbol": np.array(made.symbols),
            "a_date": made.as_of,
        }
        gains = {name: hindsight(scores[:, known, h], group[known]) / base for name, group in groups.items()}
        print(json.dumps({"horizon": horizon, "pairs": int(known.sum()), "dates": len(dates), **gains}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
