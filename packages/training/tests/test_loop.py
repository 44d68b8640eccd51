from __future__ import annotations

import json
import math
import shutil

import pytest

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.run import Run
from marketgpt_training.base import TrainingEngine
from marketgpt_training.checkpoints import Checkpoint
from marketgpt_training.loop import Trainer
from marketgpt_training.observers import Observers, RunInfo
from marketgpt_training.pipeline import train
from marketgpt_training.preparation import prepare


class ScriptedEngine(TrainingEngine):
    """Validation losses as told; training losses constant."""

    def __init__(self, validation, loss=1.0):
        super().__init__(self.Config())
        self._validation, self._loss, self.epoch, self._in_validation = validation, loss, 0, False

    def prepare(self, module, optim, *, batch_size, micro_batch_size=None):
        pass

    def train_step(self, batch, lr, *, most=math.inf):
        if self._in_validation:
            self.epoch, self._in_validation = self.epoch + 1, False
        return {"loss": self._loss, "nll": self._loss, "grad_norm": 1.0}

    def validate(self, batch):
        self._in_validation = True
        nll = self._validation[self.epoch]
        return {"loss": nll + 0.1, "nll": nll, "horizon_nll": 0.5}

    def weights(self):
        return {"epoch": self.epoch}


class Recorder(Observers):
    def __init__(self):
        self.told = []

    def tell(self, hook, **values):
        self.told.append((hook, values))


@pytest.fixture
def fit(make_config, candles, tmp_path):
    def run(engine, *overrides, observers=None):
        config = make_config(*overrides)
        prepared = prepare(config, candles)
        info = RunInfo(path=tmp_path, total_steps=100, num_parameters=1, config={})
        trainer = Trainer(
            engine, config, prepared.train, prepared.validation, run=info, observers=observers or Recorder()
        )
        return trainer.fit()

    return run


def test_patience_stops_and_the_best_weights_are_kept(fit):
    result = fit(ScriptedEngine([3.0, 1.0, 2.0, 2.0, 0.5]), "loop.max_epochs=5", "loop.patience_epochs=2")
    assert result.stopped_early
    assert (result.best_epoch, result.best_nll, len(result.epochs)) == (2, pytest.approx(1.0), 4)
    assert result.weights == {"epoch": 1}


def test_the_steps_given_are_the_most(fit):
    result = fit(ScriptedEngine([3.0, 2.0, 1.0]), "loop.max_epochs=3", "loop.max_steps=25")
    whole = fit(ScriptedEngine([3.0, 2.0, 1.0]), "loop.max_epochs=1").steps
    assert result.steps == 25
    assert len(result.epochs) == -(-25 // whole)
    assert not result.stopped_early


def test_a_loss_that_is_not_finite_stops_with_the_setting_to_change(fit):
    with pytest.raises(RunError, match=r"the loss is nan after step 0, a step that cannot.*\(now 0.002\)"):
        fit(ScriptedEngine([1.0], loss=math.nan))


def test_metrics_are_written_line_by_line(fit, tmp_path):
    fit(ScriptedEngine([3.0, 2.0]), "loop.max_epochs=2")
    rows = [
        json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    steps, epochs = ([r for r in rows if r["kind"] == kind] for kind in ("step", "epoch"))
    assert [r["step"] for r in steps] == list(range(1, len(steps) + 1))
    assert [r["nll"] for r in epochs] == pytest.approx([3.0, 2.0])
    assert {"loss", "lr", "grad_norm", "candles_per_s"} <= set(steps[0])


def test_observers_hear_the_start_every_step_and_the_end(fit):
    recorder = Recorder()
    fit(ScriptedEngine([3.0, 2.0]), "loop.max_epochs=2", observers=recorder)
    hooks = [hook for hook, _ in recorder.told]
    assert (hooks[0], hooks[-1]) == ("train_start", "train_end")
    assert hooks.count("epoch_end") == 2
    assert recorder.told[-1][1]["error"] is None


def test_observers_hear_of_checkpoints_that_are_whole(make_config, candles, tmp_path, monkeypatch):
    recorder, whole = Recorder(), []

    def tell(hook, **values):
        recorder.told.append((hook, values))
        if hook == "checkpoint_saved":
            whole.append(Checkpoint(values["path"]).step == values["step"])

    recorder.tell = tell
    monkeypatch.setattr("marketgpt_training.pipeline.Observers", lambda: recorder)
    train(make_config("checkpoint.every_steps=4", "checkpoint.keep=9"), tmp_path, candles=candles)
    steps = [values["step"] for hook, values in recorder.told if hook == "checkpoint_saved"]
    assert steps == sorted(steps)
    assert {4, 8, 12, 16, 20} <= set(steps)
    assert all(whole)
    assert recorder.told[-1][0] == "train_end"


def test_observers_are_told_of_a_failure(fit):
    recorder = Recorder()
    with pytest.raises(RunError):
        fit(ScriptedEngine([1.0], loss=math.inf), observers=recorder)
    assert isinstance(recorder.told[-1][1]["error"], RunError)


def curve_of(make_config, candles, folder, *overrides):
    train(make_config("loop.max_steps=8", *overrides), folder, candles=candles)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row["loss"] for row in map(json.loads, lines) if row["kind"] == "step"]


def test_blocks_run_again_give_the_same_curve(make_config, candles, tmp_path, monkeypatch):
    """Dropout included: the second run of a block forgets what the first forgot."""
    from marketgpt_models.layers import Block

    calls, forward = [], Block.forward

    def counted(self, *arguments):
        calls.append(self.training)
        return forward(self, *arguments)

    monkeypatch.setattr(Block, "forward", counted)
    plain = curve_of(make_config, candles, tmp_path / "plain")
    before = sum(calls)
    again = curve_of(make_config, candles, tmp_path / "again", "loop.activation_checkpointing=true")
    assert again == plain
    assert sum(calls) - before == 2 * before


def test_a_model_without_blocks_cannot_run_them_again(make_config, candles, tmp_path):
    config = make_config(
        "model={name='lstm',options={context=16,num_layers=1,dim=8}}", "loop.activation_checkpointing=true"
    )
    with pytest.raises(ConfigError, match=r"loop\.activation_checkpointing is not for model lstm"):
        train(config, tmp_path, candles=candles)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_compiled_it_walks_the_same_curve(make_config, candles, tmp_path):
    if not shutil.which("g++"):
        pytest.skip("torch.compile needs a compiler: there is no g++")
    plain = curve_of(make_config, candles, tmp_path / "plain", "model.options.dropout=0.0")
    options = ("model.options.dropout=0.0", "loop.compile=true")
    compiled = curve_of(make_config, candles, tmp_path / "compiled", *options)
    assert compiled == pytest.approx(plain, rel=1e-4)
    names = [Run.open(tmp_path / name).json("model.json") for name in ("plain", "compiled")]
    assert names[0] == names[1]
