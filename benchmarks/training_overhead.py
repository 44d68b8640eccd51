"""What our loop and DeepSpeed cost beside a bare torch loop: the same model, batches and optimizer.

Arms, in turns, one process, one thread: ``bare`` (forward, backward, clip, AdamW; nothing is looked at but
the loss), ``torch`` and ``deepspeed`` (``marketgpt_training.fit`` with all its observers, metrics, agreement
and checks). CPU seconds of a step, the median over steps, first ones left out; making batches is in all of
them. Ours should cost less than 5% more from 4 million parameters on. Run it with::

    uv run python benchmarks/training_overhead.py --steps 12
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from marketgpt_core.testing import make_candles
from marketgpt_training import pipeline, preset
from marketgpt_training.base import weight_decay_groups
from marketgpt_training.config import TrainConfig
from marketgpt_training.observers import Observers

MOST_RATIO = 1.05
SIZES = {"1M": "small", "4M": "medium", "25M": "reduced"}
_WARMUP = 2


class Clock(Observers):
    """Notes the CPU time at the end of every step, after all observers have heard of it."""

    ends: list[float]

    def tell(self, hook: str, **values: object) -> None:
        """Pass it on, then look at the time."""
        super().tell(hook, **values)
        if hook == "train_start":
            self.ends = []
        elif hook == "step_end":
            self.ends.append(time.process_time())


def config_of(size: str, engine: str, steps: int, batch: int) -> TrainConfig:
    """Return the preset ``small`` in another shape, so many steps long."""
    return preset(
        "small",
        (
            f"model={{name='market_gpt',shape='{SIZES[size]}',options={{context=128,dropout=0.1}}}}",
            f"engine.name={engine}", f"loop.max_steps={steps}", f"loop.batch_size={batch}",
            "split.train_until=2012-01-01", "split.validation_until=2012-06-01", "optim.ema_decay=0",
        ),
    )  # fmt: skip


def bare(config: TrainConfig, prepared: pipeline.Prepared) -> list[float]:
    """Return CPU seconds at the end of every step of a loop that does nothing else."""
    torch.manual_seed(0)
    module = prepared.variant.build(prepared.spec).train()
    groups = weight_decay_groups(module, config.optim.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=config.optim.betas, fused=True)
    ends: list[float] = []
    for batch in prepared.train.epoch(config.loop.batch_size, seed=0, epoch=1):
        optimizer.zero_grad(set_to_none=True)
        loss = module(batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.optim.grad_clip)
        optimizer.step()
        loss.item()
        ends.append(time.process_time())
        if len(ends) == config.loop.max_steps:
            break
    return ends


def ours(config: TrainConfig, prepared: pipeline.Prepared) -> list[float]:
    """Return CPU seconds at the end of every step of a training of ours."""
    clock = Clock()
    with patch.object(pipeline, "Observers", lambda: clock), tempfile.TemporaryDirectory() as folder:
        pipeline.fit(config, prepared, Path(folder))
    return clock.ends


def seconds(ends: list[float]) -> list[float]:
    """Return what each step took, the first ones left out."""
    return [after - before for before, after in zip(ends[_WARMUP:], ends[_WARMUP + 1 :], strict=False)]


def main() -> int:
    """Print a row a size; exit 1 when ours costs more than it may from 4M on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.steps <= _WARMUP + 1:
        parser.error(f"--steps must be more than {_WARMUP + 1}: the first ones do not count")
    torch.set_num_threads(1)
    candles = make_candles(
        tuple(f"S{number:02d}" for number in range(20)), num_candles=3_000, start="2003-01-01"
    )
    holds = True
    for size in arguments.sizes:
        taken: dict[str, list[float]] = {"bare": [], "torch": [], "deepspeed": []}
        configs = {
            name: config_of(size, name, arguments.steps, arguments.batch) for name in ("torch", "deepspeed")
        }
        prepared = pipeline.prepare(configs["torch"], candles)
        run: Callable[[TrainConfig, pipeline.Prepared], list[float]]
        for _ in range(arguments.repeats):
            for arm in taken:
                run = bare if arm == "bare" else ours
                taken[arm] += seconds(run(configs.get(arm, configs["torch"]), prepared))
        medians = {arm: statistics.median(values) for arm, values in taken.items()}
        row: dict[str, Any] = {
            "size": size,
            "cpu_s_a_step": {arm: round(value, 4) for arm, value in medians.items()},
            "to_bare": {
                arm: round(value / medians["bare"], 3) for arm, value in medians.items() if arm != "bare"
            },
            "steps": len(taken["bare"]),
        }
        print(json.dumps(row), flush=True)
        holds &= size == "1M" or max(row["to_bare"].values()) < MOST_RATIO
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
