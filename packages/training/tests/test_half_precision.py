"""bf16, and fp16 with a loss scale that finds itself.

This CPU has no fast products in half precision, so DeepSpeed refuses fp16 on it; torch computes them slowly
all the same. With the refusal lifted everything is real: DeepSpeed's scaler, its overflows, skipped steps.
"""

from __future__ import annotations

import json
import math

import pytest
import torch

from marketgpt_core.plugins import registry
from marketgpt_training.config import OptimConfig
from marketgpt_training.engines import deepspeed_config
from marketgpt_training.engines.deepspeed_machine import import_deepspeed
from marketgpt_training.pipeline import train
from marketgpt_training.testing import tiny_batch, tiny_module

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.fixture(autouse=True)
def _half(monkeypatch):
    # High enough to overflow at the start, low enough not to skip for long.
    monkeypatch.setitem(deepspeed_config._LOSS_SCALE, "initial_scale_power", 20)
    import_deepspeed()
    from deepspeed.accelerator import get_accelerator

    if not get_accelerator().is_fp16_supported():
        monkeypatch.setattr(get_accelerator(), "is_fp16_supported", lambda: True)
        known = get_accelerator().supported_dtypes()
        monkeypatch.setattr(get_accelerator(), "supported_dtypes", lambda: [*known, torch.float16])


@pytest.fixture
def make_engine():
    made = []

    def make(stage, **optim):
        engine = registry("training-engine").create("deepspeed", {"precision": "fp16", "zero_stage": stage})
        engine.prepare(tiny_module(), OptimConfig(ema_decay=0.5, **optim), batch_size=32)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_scale_too_high_skips_the_step_and_is_halved(make_engine, stage):
    engine = make_engine(stage)
    engine._scaler.cur_scale = 2.0**24
    before, metrics = engine.state(), []
    while not metrics or "skipped" in metrics[-1]:
        metrics.append(engine.train_step(tiny_batch(), 1e-2))
        assert len(metrics) < 30
        if "skipped" in metrics[-1]:
            now = engine.state()
            kept = {name for name in before if not name.startswith("loss_scale/")}
            assert all(before[name].equal(now[name]) for name in kept)
    skipped = len(metrics) - 1
    assert skipped >= 5
    scales = [one["loss_scale"] for one in metrics]
    # One overflow is forgiven before the scale is halved.
    assert scales == [2.0**24, *(2.0 ** (24 - halved) for halved in range(skipped))]
    now = engine.state()
    assert (int(now["optimizer/step"]), int(now["average_steps"])) == (1, 1)
    assert math.isfinite(metrics[-1]["grad_norm"])


def test_at_the_lowest_scale_the_batch_is_to_blame(make_engine):
    engine = make_engine(1)
    engine._scaler.cur_scale, engine._scaler.cur_hysteresis = 1.0, 1
    hook = engine._engine.module.outer.register_full_backward_hook(
        lambda *_: (torch.full((32, 16), math.nan, dtype=torch.float16),)
    )
    for _ in range(3):
        metrics = engine.train_step(tiny_batch(), 1e-2)
        assert "skipped" not in metrics
        assert metrics["spoiled"] == 1.0
    hook.remove()
    assert "spoiled" not in engine.train_step(tiny_batch(), 1e-2)


@pytest.mark.parametrize("stage", [1, 3])
def test_the_scale_goes_on_from_its_state(make_engine, stage):
    """Counters included: the scale doubles at the very step it would have doubled at."""
    engine = make_engine(stage)
    engine._scaler.scale_window = 5
    for number in range(6):
        engine.train_step(tiny_batch(number), 1e-3)
    state = engine.state()

    def scales():
        torch.manual_seed(1)
        rows = [engine.train_step(tiny_batch(number), 1e-3) for number in range(6)]
        return [(row["loss"], row["loss_scale"]) for row in rows]

    first = scales()
    assert len({scale for _, scale in first}) > 1
    engine.load_state(state)
    assert scales() == first


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "candles_per_s"} for row in rows]


@pytest.mark.parametrize("model", ["market_gpt", "market_gpt_multi"])
@pytest.mark.parametrize("arm", ["fp16 1", "bf16 0", "bf16 3"])
def test_a_run_learns_as_in_fp32_and_shows_skipped_steps(make_config, candles, tmp_path, model, arm):
    precision, stage = arm.split()
    engine = f"engine={{name='deepspeed',options={{precision='{precision}',zero_stage={stage}}}}}"
    whole = (
        "optim.ema_decay=0.9", "model.options.dropout=0.0", f"model.name={model}", "loop.max_epochs=3",
        "evaluation.recalibrate=false",
    )  # fmt: skip
    train(make_config(*whole, engine), tmp_path / "half", candles=candles)
    train(make_config(*whole), tmp_path / "full", candles=candles)
    rows, full = rows_of(tmp_path / "half"), rows_of(tmp_path / "full")
    skipped, steps = ([row for row in rows if row["kind"] == kind] for kind in ("skipped", "step"))
    assert bool(skipped) == (precision == "fp16")
    assert all(row["loss_scale"] > 1 for row in skipped)
    assert all(("loss_scale" in row) == (precision == "fp16") for row in steps)
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    # The rate of the first step done is that of the first step, however many were skipped before it.
    assert steps[0]["lr"] == full[0]["lr"]
    for name in ("loss", "nll", "horizon_nll"):
        assert rows[-1][name] == pytest.approx(full[-1][name], rel=0.02)
