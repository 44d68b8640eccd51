"""A training cut short goes on as if nothing had happened."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from typing import ClassVar

import pytest
import torch

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_training.engines.torch_engine import TorchEngine
from marketgpt_training.interruption import TrainingInterrupted
from marketgpt_training.meter import MACHINE_METRICS
from marketgpt_training.observers import Observers
from marketgpt_training.pipeline import train

STEPS = ("checkpoint.every_steps=7", "loop.max_epochs=3", "optim.ema_decay=0.9")


class Killed(BaseException):
    """What no handler of ours catches."""


class Stopper(Observers):
    """Does something when so many steps are done."""

    def __init__(self, step, act):
        self._step, self._act = step, act

    def tell(self, hook, **values):
        if hook == "step_end" and values["step"] == self._step:
            self._act()


def die():
    raise Killed


@pytest.fixture
def at_step(monkeypatch):
    """Have something happen after a step of the trainings to come."""

    def plan(step, act=die):
        monkeypatch.setattr("marketgpt_training.pipeline.Observers", lambda: Stopper(step, act))

    return plan


def curve(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name not in MACHINE_METRICS} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, candles, tiny_values):
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_training.config import TrainConfig

    folder = tmp_path_factory.mktemp("whole")
    config = load_config(TrainConfig, apply_overrides(tiny_values, STEPS), where="the test")
    torch.set_num_threads(1)
    train(config, folder, candles=candles)
    return folder


@pytest.fixture
def resumed(at_step, candles, tmp_path):
    """Train, be killed after a step, and go on, maybe with another engine."""

    def run(config, step, *, then=None, name="run"):
        at_step(step)
        with pytest.raises(Killed):
            train(config, tmp_path / name, candles=candles)
        at_step(10**9)
        return train(then or config, tmp_path / name, candles=candles, resume=True)

    return run


@pytest.mark.parametrize("step", [3, 7, 20, 28])
def test_the_curve_is_the_same_to_the_last_bit(resumed, make_config, whole, step):
    run = resumed(make_config(*STEPS), step)
    assert curve(run.path) == curve(whole)
    assert not list((run.path / "checkpoints").glob(".*"))
    assert run.json("training_summary.json")["starts"] == (2 if step > 7 else 1)
    ours, theirs = ((one / "model.safetensors").read_bytes() for one in (run.path, whole))
    assert ours == theirs


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_deepspeed_goes_on_to_the_last_bit_too(resumed, make_config, candles, tmp_path, zero_stage):
    engine = f"engine={{name='deepspeed',options={{zero_stage={zero_stage}}}}}"
    config = make_config(*STEPS, engine)
    train(config, tmp_path / "whole", candles=candles)
    assert curve(resumed(config, 20).path) == curve(tmp_path / "whole")


STAGES = [f"'deepspeed',options={{zero_stage={stage}}}" for stage in range(4)]


@pytest.mark.parametrize(
    ("begun", "then"),
    [*((STAGES[2], one) for one in ("'torch'", STAGES[0], STAGES[3])), (STAGES[3], STAGES[1])],
)
def test_another_engine_goes_on_from_the_same_file(resumed, make_config, whole, begun, then):
    first, second = (make_config(*STEPS, f"engine={{name={name}}}") for name in (begun, then))
    run = resumed(first, 20, then=second)
    losses, expected = ([row["nll"] for row in curve(one) if "nll" in row] for one in (run.path, whole))
    assert losses == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_with_a_checkpoint_of_the_very_step(at_step, make_config, candles, whole, number):
    folder = whole.with_name(number.name)
    before = signal.getsignal(number)
    at_step(11, lambda: os.kill(os.getpid(), number))
    config = make_config(*STEPS, "checkpoint.every_steps=0")
    with pytest.raises(TrainingInterrupted, match=rf"stopped by {number.name} at step 12, which is kept"):
        train(config, folder, candles=candles)
    assert signal.getsignal(number) == before
    at_step(10**9)
    train(config, folder, candles=candles, resume=True)
    assert curve(folder) == curve(whole)


def test_a_folder_with_checkpoints_is_not_trained_over(at_step, make_config, candles, tmp_path):
    at_step(10)
    with pytest.raises(Killed):
        train(make_config(*STEPS), tmp_path, candles=candles)
    with pytest.raises(RunError, match="holds the checkpoints of an unfinished run: go on with --resume"):
        train(make_config(*STEPS), tmp_path, candles=candles)
    with pytest.raises(RunError, match=r"begun with another configuration: optim.lr \(was 0.002, now 0.1\)"):
        train(make_config(*STEPS, "optim.lr=0.1"), tmp_path, candles=candles, resume=True)
    fewer = type(candles)(list(candles.values())[:2])
    with pytest.raises(RunError, match="does not fit: tokenizer, train_candles"):
        train(make_config(*STEPS), tmp_path, candles=fewer, resume=True)


def test_an_engine_without_state_trains_and_is_not_resumed(make_config, candles, tmp_path, monkeypatch):
    monkeypatch.setattr(TorchEngine, "resumable", False)
    with pytest.raises(ConfigError, match="engine 'torch' keeps no checkpoints: it cannot be resumed"):
        train(make_config("loop.max_epochs=1"), tmp_path / "a", candles=candles, resume=True)
    train(make_config("loop.max_epochs=1"), tmp_path / "b", candles=candles)
    assert not (tmp_path / "b" / "checkpoints").exists()


def test_resume_without_a_checkpoint_begins(make_config, candles, tmp_path, whole):
    train(make_config(*STEPS), tmp_path, candles=candles, resume=True)
    assert curve(tmp_path) == curve(whole)


class Spoiling(TorchEngine):
    """Gives a loss of its own for some batches; where it is too late, after the step."""

    bad: ClassVar[dict[int, float]] = {}
    too_late = False
    calls = 0

    def train_step(self, batch, lr, *, most=math.inf):
        type(self).calls += 1
        loss = self.bad.get(self.calls)
        if loss is None:
            return super().train_step(batch, lr, most=most)
        if self.too_late:
            super().train_step(batch, lr * 1e3, most=most)
            return {"loss": loss, "nll": loss, "grad_norm": 1.0}
        return {"loss": loss, "nll": loss, "grad_norm": 1.0, "spoiled": 1.0}


@pytest.fixture
def spoiling(monkeypatch):
    def plan(bad, *, too_late=False):
        Spoiling.bad, Spoiling.too_late, Spoiling.calls = bad, too_late, 0
        monkeypatch.setattr("marketgpt_training.engines.torch_engine.TorchEngine", Spoiling)

    return plan


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e6])
def test_a_spoiled_batch_is_left_out_and_kept(spoiling, make_config, candles, tmp_path, loss):
    spoiling({25: loss})
    run = train(make_config(*STEPS), tmp_path, candles=candles)
    assert run.json("training_summary.json")["spoiled"] == [[3, 5]]
    kept = list((tmp_path / "spoiled").iterdir())
    assert [path.name for path in kept] == ["epoch-0003-batch-000005-rank-00000.safetensors"]
    steps = [row["step"] for row in curve(tmp_path) if row["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))


def test_a_step_that_cannot_be_undone_is_rolled_back(spoiling, make_config, candles, tmp_path):
    """The weights after it are those of a training that left the batch out from the start."""
    spoiling({25: math.nan})
    train(make_config(*STEPS), tmp_path / "clean", candles=candles)
    spoiling({25: math.nan}, too_late=True)
    train(make_config(*STEPS), tmp_path / "late", candles=candles)
    late, clean = (
        [row for row in curve(tmp_path / name) if row["kind"] == "step"] for name in ("late", "clean")
    )
    assert [row["loss"] for row in late] == [row["loss"] for row in clean]


def test_too_many_in_a_row_stop_with_the_last_batch_kept(spoiling, make_config, candles, tmp_path):
    spoiling(dict.fromkeys(range(25, 99), math.nan))
    with pytest.raises(
        RunError, match=r"the loss is nan after step 24, 3 batches in a row \(the last is kept"
    ):
        train(make_config(*STEPS), tmp_path, candles=candles)
    assert len(list((tmp_path / "spoiled").iterdir())) == 3


def test_a_signal_elsewhere_than_in_the_main_thread_is_not_listened_for(make_config, candles, tmp_path):
    failures = []

    def work():
        try:
            torch.set_num_threads(1)
            train(make_config("loop.max_epochs=1"), tmp_path, candles=candles)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures
