"""What becomes of a trained model when its bins are cut anew: in another crisis, in other markets.

A model of the shape ``tiny`` is trained on US stocks until 2007. Each scenario is a later time or another
market: an earlier part to adapt to, and a later part that nothing has seen, on which a candle's density is
scored, in nats of log return (lower is better; a move next to zero counts as one event). Arms, beside the
model left as it is:

* ``remapped``: bins of the adaptation part, the model's tables remapped (``marketgpt remap``), not trained.
* ``adapted``: the model as it is, trained on over the adaptation part.
* ``remapped, adapted``: both.

Intervals: 95%, whole months resampled, of the difference to the model left as it is. Run it with::

    uv run python benchmarks/model_remap.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from marketgpt_core import Candles
from marketgpt_core.run import Run
from marketgpt_core.tokens import load_tokenizer
from marketgpt_data_sources import load_candles
from marketgpt_models import GPTForecaster
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import features_of_all
from marketgpt_models.presets import shape
from marketgpt_models.remapped import remap_run
from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.remap import remap, write_remap
from marketgpt_training import preset, train
from marketgpt_training.base import weight_decay_groups
from marketgpt_training.dataset import WindowDataset

if TYPE_CHECKING:
    from marketgpt_models.scoring import TokenScores

# Category, start and end of the adaptation part, end of the scored part.
SCENARIOS = {
    "us, 2008-07 to 2009": ("us", "2007-07-01", "2008-07-01", "2010-01-01"),
    "em, 2012 to 2014": ("em", "2002-01-01", "2012-01-01", "2015-01-01"),
    "fx, from 2013": ("fx", "2002-01-01", "2013-01-01", None),
    "crypto, from 2019": ("crypto", None, "2019-01-01", None),
}
BATCH, DRAWS = 32, 1_000


def trained(candles: Candles, folder: Path, steps: int) -> Run:
    """Train the old model on US stocks until 2007."""
    options = json.dumps(dict(shape("tiny").options)).replace('": ', '"=')
    config = preset(
        "small",
        (
            "model.name=market_gpt",
            f"model.options={options}",
            "covariates=[]",
            "engine.name=torch",
            "split.train_until=2006-01-01",
            "split.validation_until=2007-01-01",
            f"loop.max_steps={steps}",
            f"optim.warmup_steps={steps // 20}",
            "optim.ema_decay=0.99",
            "evaluation.recalibrate=false",
        ),
    )
    return train(config, folder, candles=candles)


def adapted(forecaster: GPTForecaster, candles: Candles, steps: int, lr: float) -> GPTForecaster:
    """Return the forecaster after so many further steps on these candles."""
    spec, context = forecaster.spec, forecaster.context
    features = features_of_all(forecaster.tokenizer, candles, spec.horizons, Covariates(spec.covariates))
    windows = WindowDataset(list(features.values()), context=context, spec=spec)
    module = deepcopy(forecaster.module).train()
    optimizer = torch.optim.AdamW(weight_decay_groups(module, 0.1), lr=lr, betas=(0.9, 0.95))
    done = epoch = 0
    while done < steps:
        for batch in windows.epoch(BATCH, seed=0, epoch=epoch):
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 - done / steps)
            optimizer.zero_grad()
            module(dict(batch))["loss"].backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            done += 1
            if done == steps:
                break
        epoch += 1
    return GPTForecaster(
        module, forecaster.tokenizer, spec, context=context, model_id=f"{forecaster.model_id}, adapted"
    )


def scored(forecaster: GPTForecaster, candles: Candles, start: str, end: str | None) -> TokenScores:
    """Score the later part; what is before it is history."""
    return forecaster.token_scores(candles.between(None, end), start=np.datetime64(start))


def cost(scores: TokenScores) -> NDArray[np.float64]:
    """Return each candle's nats, (N,)."""
    return np.asarray(-scores.log_density.astype(np.float64).sum(axis=1))


def interval(difference: NDArray[np.float64], time: NDArray[np.datetime64]) -> tuple[float, float]:
    """Return the 95% interval of the mean, months resampled."""
    _, month = np.unique(time.astype("datetime64[M]"), return_inverse=True)
    sums, counts = np.bincount(month, weights=difference), np.bincount(month)
    draws = np.random.default_rng(0).integers(len(counts), size=(DRAWS, len(counts)))
    low, high = np.quantile(sums[draws].sum(axis=1) / counts[draws].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def scenario(
    name: str, run: Run, candles: Candles, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return one row of the table."""
    category, start, cut, end = SCENARIOS[name]
    market = Candles(one for one in candles.values() if one.category == category)
    part = market.between(start, cut)
    old = load_tokenizer(run.file("tokenizer.json"))
    assert isinstance(old, OHLCTokenizer)
    new = old.refit(part)
    new.save(folder / "new.json")
    write_remap(remap(old, new), folder / "tables.safetensors", old=old, new=new)
    moved = remap_run(
        run, tokenizer=folder / "new.json", tables=folder / "tables.safetensors", out=folder / "remapped"
    )
    as_is, remapped = (GPTForecaster.from_pretrained(one) for one in (run, moved))
    arms: Mapping[str, GPTForecaster] = {
        "remapped": remapped,
        "adapted": adapted(as_is, part, arguments.adapt_steps, arguments.adapt_lr),
        "remapped, adapted": adapted(remapped, part, arguments.adapt_steps, arguments.adapt_lr),
    }
    before = scored(as_is, market, cut, end)
    base = cost(before)
    row: dict[str, Any] = {"scenario": name, "candles": len(base), "as it is": float(base.mean())}
    for arm, forecaster in arms.items():
        difference = cost(scored(forecaster, market, cut, end)) - base
        low, high = interval(difference, before.time)
        row[arm] = {"difference": float(difference.mean()), "low": low, "high": high}
    return row


def main() -> int:
    """Print a row a scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of Parquet files with daily candles")
    parser.add_argument("--steps", type=int, default=300, help="of the old model's training")
    parser.add_argument("--adapt-steps", type=int, default=60)
    parser.add_argument("--adapt-lr", type=float, default=5e-4)
    parser.add_argument("--only", nargs="*", help="these scenarios only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    candles = load_candles(f"parquet:{arguments.data}")
    stocks = Candles(one for one in candles.values() if one.category == "us")
    with tempfile.TemporaryDirectory() as temporary:
        run = trained(stocks, Path(temporary) / "old", arguments.steps)
        for number, name in enumerate(arguments.only or SCENARIOS):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            print(json.dumps(scenario(name, run, candles, folder, arguments)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
