"""What the layout of the heads, the size of the model and the number of symbols are worth, in nats a candle.

Every arm has the same optimizer and sees the same number of candles; told is the loss on the validation
years, which no arm was fitted on. Three questions, each a run of its own::

    uv run python benchmarks/model_quality.py layouts --data ../shared/data
    uv run --with matplotlib python benchmarks/model_quality.py sizes --data ../shared/data --out sizes.svg
    uv run --with matplotlib python benchmarks/model_quality.py symbols --data ../shared/data --out names.svg

``layouts``: chained, parallel and flattened heads on one trunk. The chained ones should be 0.1 nat a candle
better than the parallel ones: given gap and body, the wicks are not independent of each other. ``sizes``:
the ladder of presets at equal candles. ``symbols``: 20, 100 and 400 symbols at equal steps, so that fewer are
seen more often; each arm has bins of its own, so all are judged by density, in nats of log return, on the
same twenty symbols, which every arm trains on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from marketgpt_core.candles import Candles
from marketgpt_core.run import Run
from marketgpt_data_sources import load_candles
from marketgpt_models import GPTForecaster
from marketgpt_models.presets import shape
from marketgpt_training import preset, train
from marketgpt_training.config import TrainConfig
from marketgpt_training.splits import split_dates

LAYOUTS = ("chained", "parallel", "flattened")
SIZES = ("tiny", "small", "medium", "crypto", "reduced")
SYMBOLS = (20, 100, 400)
LEAST_GAIN_NATS = 0.1
_COVARIATES = '["volatility","market","recurrence","volume"]'


def config_of(model: Mapping[str, Any], steps: int, batch: int, seed: int) -> TrainConfig:
    """Return the preset ``small`` with another model, without evaluation, stopped at ``steps``."""
    options = {"mirrored_horizons": 0.8, "horizon_weight": 1.0, **model}
    return preset(
        "small",
        (
            "model.name=market_gpt",
            f"model.options={json.dumps(options)}".replace('": ', '"='),
            f"covariates={_COVARIATES}",
            "engine.name=torch",
            f"loop.max_steps={steps}",
            f"loop.batch_size={batch}",
            "loop.threads=1",
            f"optim.warmup_steps={max(10, steps // 20)}",
            "optim.ema_decay=0.99",
            "evaluation.recalibrate=false",
            f"seed={seed}",
        ),
    )


def density_nats(run: Run, config: TrainConfig, judged: Candles) -> float:
    """Return the negative log density of a candle, in nats, over the validation years of some symbols."""
    forecaster = GPTForecaster.from_pretrained(run)
    until = np.datetime64(config.split.validation_until, "ns")
    scores = forecaster.token_scores(
        judged.between(None, until), start=split_dates(config.split, judged).validation_start
    )
    return float(-scores.log_density.astype(np.float64).sum(axis=1).mean())


def arm(name: str, config: TrainConfig, candles: Candles, *, judged: Candles | None = None) -> dict[str, Any]:
    """Train one arm and return its best validation losses."""
    spent = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, Path(folder) / "run", candles=candles)
        summary = run.json("training_summary.json")
        density = {} if judged is None else {"density_nats": density_nats(run, config, judged)}
    best = min(summary["epochs"], key=lambda epoch: epoch["loss"])
    row = {
        "arm": name,
        "parameters": summary["num_parameters"],
        "steps": summary["steps"],
        "symbols": len(candles),
        "nats_a_candle": best["nll"],
        "horizon_nats": best["horizon_nll"],
        **density,
        "cpu_s": time.process_time() - spent,
    }
    print(json.dumps(row), flush=True)
    return row


def layouts(candles: Candles, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the layouts of the heads on one trunk."""
    size = dict(shape(arguments.shape).options)
    return [
        arm(
            layout,
            config_of(size | {"layout": layout}, arguments.steps, arguments.batch, arguments.seed),
            candles,
        )
        for layout in arguments.only or LAYOUTS
    ]


def sizes(candles: Candles, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the ladder of presets at equal candles."""
    rows = []
    for name in arguments.only or SIZES:
        options = dict(shape(name).options)
        # The same windows for all, or the arms would not see the same candles.
        options["context"] = 128
        rows.append(arm(name, config_of(options, arguments.steps, arguments.batch, arguments.seed), candles))
    return rows


def symbols(candles: Candles, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare numbers of symbols, judged on the same twenty."""
    order = np.random.default_rng(arguments.seed).permutation(list(candles.symbols))
    options = dict(shape(arguments.shape).options)
    judged = Candles(candles[str(symbol)] for symbol in order[: SYMBOLS[0]])
    rows = []
    for count in SYMBOLS:
        chosen = Candles(candles[str(symbol)] for symbol in order[:count])
        config = config_of(options, arguments.steps, arguments.batch, arguments.seed)
        rows.append(arm(str(count), config, chosen, judged=judged))
    return rows


def draw(rows: list[dict[str, Any]], key: str, field: str, out: Path) -> None:
    """Draw the loss against parameters or symbols."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axis.plot([row[key] for row in rows], [row[field] for row in rows], marker="o")
    axis.set_xscale("log")
    axis.set_xticks([row[key] for row in rows], [_tick(row, key) for row in rows], rotation=30, ha="right")
    axis.minorticks_off()
    axis.set_xlabel(key)
    axis.set_ylabel("validation, nats a candle")
    axis.grid(alpha=0.3)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _tick(row: Mapping[str, Any], key: str) -> str:
    return str(row[key]) if key == "symbols" else f"{row['arm']}, {row[key] / 1e6:.1f}M"


def main() -> int:
    """Run one question; exit 1 when the chained heads are not as much better as claimed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", choices=["layouts", "sizes", "symbols"])
    parser.add_argument("--data", required=True, help="folder of Parquet files with daily candles")
    parser.add_argument("--category", default="us")
    parser.add_argument("--shape", default="tiny")
    parser.add_argument("--only", nargs="*", help="these arms only")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    candles = load_candles(f"parquet:{arguments.data}", symbols=None)
    candles = Candles(one for one in candles.values() if one.category == arguments.category)
    rows = {"layouts": layouts, "sizes": sizes, "symbols": symbols}[arguments.question](candles, arguments)
    if arguments.out and arguments.question != "layouts":
        by_size = arguments.question == "sizes"
        key, field = ("parameters", "nats_a_candle") if by_size else ("symbols", "density_nats")
        draw(rows, key, field, arguments.out)
    if arguments.question != "layouts":
        return 0
    by_name = {row["arm"]: row["nats_a_candle"] for row in rows}
    if not {"chained", "parallel"} <= by_name.keys():
        return 0
    gain = by_name["parallel"] - by_name["chained"]
    print(f"chained heads gain {gain:.3f} nats a candle over parallel ones (claimed: {LEAST_GAIN_NATS})")
    return int(gain < LEAST_GAIN_NATS)


if __name__ == "__main__":
    sys.exit(main())
