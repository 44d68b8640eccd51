"""What a mixture of trained runs is worth beside each of them, by CRPS on dates none has seen.

Runs of the same configuration and other seeds, say::

    uv run python benchmarks/model_ensemble.py RUN RUN RUN --data ../shared/data --from 2017-02-12 --every 5

A row a horizon: the CRPS of each run and of the mixture, and the ratio of the mixture's to the best run's,
with a 90% interval from blocks of whole dates. The best run is chosen in hindsight, which favours it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from marketgpt_core.forecast_pool import pooled
from marketgpt_data_sources import load_candles
from marketgpt_models import load_forecaster
from marketgpt_training.evaluation.bootstrap import DateBlocks, verdict
from marketgpt_training.evaluation.scores import crps, realised

HORIZONS = (1, 5, 10, 21, 42)


def main() -> int:
    """Print a row a horizon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", required=True, help="folder of Parquet files with daily candles")
    parser.add_argument("--category", default="us")
    parser.add_argument("--from", dest="start", default="2017-02-12")
    parser.add_argument("--to", dest="end", default="2019-07-01")
    parser.add_argument("--every", type=int, default=5)
    arguments = parser.parse_args()
    candles = load_candles(f"parquet:{arguments.data}")
    names = [one.symbol for one in candles.values() if one.category == arguments.category]
    traded = candles.between(arguments.start, arguments.end)
    dates = np.unique(np.concatenate([traded[name].time for name in names if name in traded]))
    made = []
    for path in arguments.runs:
        forecast = load_forecaster(path).forecast(
            candles, horizons=HORIZONS, as_of=list(dates[:: arguments.every]), symbols=names
        )
        # A symbol that has gone is forecast from its last candle, over and over.
        made.append(forecast.rows(forecast.as_of >= dates[0]))
    outcome = realised(made[0], candles)
    scores = [crps(one, outcome) for one in (*made, pooled(made, model_id="mixture"))]
    for column, horizon in enumerate(HORIZONS):
        known = np.isfinite(outcome[:, column])
        losses = [one[known, column] for one in scores]
        best = min(losses[:-1], key=np.mean)
        blocks = DateBlocks(made[0].as_of[known], block_dates=-(-horizon // arguments.every))
        ratio, low, high = blocks.ratio(losses[-1], best)
        row = {
            "horizon": horizon,
            "forecasts": int(known.sum()),
            "dates": len(blocks.days),
            "crps": [float(one.mean()) for one in losses[:-1]],
            "mixture": float(losses[-1].mean()),
            "to_the_best": ratio,
            "low": low,
            "high": high,
            "verdict": verdict(low, high),
        }
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
