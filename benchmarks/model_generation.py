"""How fast paths are sampled with the cache, beside sampling without it and beside Kronos-small as published.

A market_gpt of 26 million parameters (8 layers, width 512, 8 heads, random weights) reads 400 candles and
draws 10 paths of 30. The same module draws the same paths from the same seed without a cache: the whole
history of every path runs again for each candle. Kronos-small (:mod:`model_kronos`) does what its published
loop does, for a few steps; the rest is counted by positions, which leaves out that attention over more of
them costs more, in its favour. One thread, CPU seconds, all in one run. Run it with::

    uv run python benchmarks/model_generation.py            # about four minutes
    uv run python benchmarks/model_generation.py --steps 3  # without the cache three steps only, then counted
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from model_kronos import STAMP_SIZES, VOCABULARY, KronosSmall, generate
from torch import nn

from marketgpt_core import registry
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import Tokenizer
from marketgpt_models import HorizonBins, InputSpec, features_of
from marketgpt_models.calendar import DAY
from marketgpt_models.features import CALENDAR_SIZES, SeriesFeatures, continuous_names
from marketgpt_models.generation import PathSample, sample_paths, sample_paths_uncached
from marketgpt_models.prefix import Prefix, calendars_ahead, row_seed, stamps_ahead, windows_of

HISTORY, AHEAD, SAMPLES = 400, 30, 10
OPTIONS = {
    "context": 512, "num_layers": 8, "dim": 512, "num_heads": 8, "num_kv_heads": 8, "head_dim_candle": 256
}  # fmt: skip
HORIZONS = (1, 5, 10, 21, 42)
MOST_SECONDS = 1.5
LEAST_RATIO, MOST_DIFFERENCE = 50.0, 1e-5


@dataclass(frozen=True)
class Case:
    """A module with weights nowhere zero, and the history it starts from."""

    module: nn.Module
    tokenizer: Tokenizer
    prefix: Prefix

    @property
    def num_parameters(self) -> int:
        """Parameters of the module."""
        return sum(one.numel() for one in self.module.parameters())


def case(options: dict[str, Any]) -> Case:
    """Build the module and its history, all of it made up."""
    candles = make_candles(("AAA",), num_candles=3_000)
    series = candles["AAA"]
    tokenizer: Tokenizer = registry("tokenizer").create("ohlc", {}).fit(candles)
    features = features_of(tokenizer.encode(series), HORIZONS)
    spec = InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(continuous_names(tokenizer.channel_names)),
        calendar_sizes=CALENDAR_SIZES,
        horizons=HORIZONS,
        horizon_bins=HorizonBins.fit(features.horizon_z, HORIZONS).to_json(),
    )
    torch.manual_seed(0)
    module = registry("model").create("market_gpt", options).build(spec).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if not weight.any():
                # Untrained outputs are zero, and a cache that broke would not be seen.
                nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    return Case(module, tokenizer, prefix_of(features, tokenizer, series))


def prefix_of(features: SeriesFeatures, tokenizer: Tokenizer, series: Any) -> Prefix:  # noqa: ANN401
    """Return the last candles of the series as one row."""
    stamp = features.time[-1:]
    ahead = stamps_ahead(stamp, Category.US, DAY, AHEAD)
    zero = np.zeros(1, dtype=np.int64)
    return Prefix(
        **windows_of([features], zero, np.array([len(features) - 1]), HISTORY),
        asset=zero,
        category=zero,
        calendar_ahead=calendars_ahead(stamp, ahead, Category.US),
        covariates_ahead=np.zeros((1, AHEAD, 0), dtype=np.float32),
        state=tokenizer.begin(series),
        seeds=np.array([row_seed(0, series.symbol, stamp[0])]),
    )


def timed(sampler: Any, one: Case, num_steps: int) -> tuple[float, PathSample]:  # noqa: ANN401
    """Return the CPU seconds of one call, and what it drew."""
    began = time.process_time()
    sample = sampler(one.module, one.tokenizer, one.prefix, num_steps=num_steps, num_samples=SAMPLES)
    return time.process_time() - began, sample


def positions(num_steps: int, *, first_shared: bool) -> int:
    """Return how many positions run without a cache; the first step runs once a row, or once a sample."""
    first = HISTORY if first_shared else SAMPLES * HISTORY
    return first + SAMPLES * sum(HISTORY + step for step in range(1, num_steps))


def kronos_seconds(num_steps: int) -> tuple[float, int]:
    """Return the CPU seconds of all candles, counted from ``num_steps``, and the parameters."""
    torch.manual_seed(0)
    model = KronosSmall().eval()
    history = torch.randint(0, VOCABULARY, (HISTORY, 2))
    stamps = torch.stack([torch.randint(0, size, (HISTORY + AHEAD,)) for size in STAMP_SIZES], dim=-1)
    generate(model, history, stamps, num_steps=1, num_samples=1)
    took = generate(model, history, stamps, num_steps=num_steps, num_samples=SAMPLES)
    counted = positions(AHEAD, first_shared=False) / positions(num_steps, first_shared=False)
    return sum(took) * counted, sum(one.numel() for one in model.parameters())


def measured(steps: int, kronos_steps: int, repeats: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return the report."""
    one = case(options)
    timed(sample_paths, one, AHEAD)
    cached = [timed(sample_paths, one, AHEAD) for _ in range(repeats)]
    seconds = float(np.median([took for took, _ in cached]))
    took, slow = timed(sample_paths_uncached, one, steps)
    # The draws of a row depend on how many candles are asked for.
    fast = timed(sample_paths, one, steps)[1]
    uncached = took * positions(AHEAD, first_shared=True) / positions(steps, first_shared=True)
    difference = float(np.abs(fast.log_returns - slow.log_returns).max())
    kronos, kronos_parameters = kronos_seconds(kronos_steps)
    return {
        "parameters": one.num_parameters,
        "cpu_s": {"cached": seconds, "uncached": uncached, "kronos_small_as_published": kronos},
        "cached_runs_cpu_s": [took for took, _ in cached],
        "uncached_steps_run": steps,
        "kronos_steps_run": kronos_steps,
        "kronos_parameters": kronos_parameters,
        "times_faster": {"than_uncached": uncached / seconds, "than_kronos_small": kronos / seconds},
        "largest_difference_of_log_returns": difference,
        "spread_of_log_returns": float(slow.log_returns.std()),
        "torch": torch.__version__,
        "holds": seconds <= MOST_SECONDS
        and uncached >= LEAST_RATIO * seconds
        and difference <= MOST_DIFFERENCE,
    }


def main() -> int:
    """Measure, print a table and JSON; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=AHEAD, help="candles drawn without the cache")
    parser.add_argument("--kronos-steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kv-heads", type=int, default=OPTIONS["num_kv_heads"])
    given = parser.parse_args()
    if not 1 <= given.steps <= AHEAD or not 1 <= given.kronos_steps <= AHEAD:
        sys.exit(f"--steps and --kronos-steps lie between 1 and {AHEAD}")
    torch.set_num_threads(1)
    report = measured(
        given.steps, given.kronos_steps, given.repeats, OPTIONS | {"num_kv_heads": given.kv_heads}
    )
    print(f"{report['parameters']:,} parameters, {HISTORY} candles in, {AHEAD} out, {SAMPLES} paths, CPU s")
    for name, seconds in report["cpu_s"].items():
        print(f"{name:28}{seconds:9.2f}{seconds / report['cpu_s']['cached']:9.1f}x")
    print(f"largest difference of log returns {report['largest_difference_of_log_returns']:.1e}")
    print(json.dumps(report, indent=2))
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
