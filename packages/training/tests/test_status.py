"""``marketgpt train status``: what a run says of itself, while it trains and after."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.cli import main
from marketgpt_core.clock import SystemClock
from marketgpt_core.errors import RunError
from marketgpt_training.interruption import TrainingInterrupted
from marketgpt_training.pipeline import train
from marketgpt_training.status import runs_below, status_of
from marketgpt_training.status_observer import STATUS_FILE

LATER = datetime(2100, 1, 1, tzinfo=UTC)


def interrupt_at(monkeypatch, step):
    from marketgpt_training.loop import Trainer

    count = Trainer._count

    def stop(self, *arguments):
        count(self, *arguments)
        if self._result.steps == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_count", stop)
    return lambda: monkeypatch.setattr(Trainer, "_count", count)


@pytest.fixture
def interrupted(make_config, candles, tmp_path, monkeypatch):
    config, folder = make_config("checkpoint.every_steps=3"), tmp_path / "runs" / "one"
    undo = interrupt_at(monkeypatch, 8)
    with pytest.raises(TrainingInterrupted):
        train(config, folder, candles=candles)
    undo()
    return config, folder


def test_an_interrupted_run_says_so_and_from_where_it_goes_on(interrupted):
    _, folder = interrupted
    found = status_of(folder, now=LATER)
    assert found["state"] == "interrupted"
    assert "--resume" in found["error"]
    assert found["step"] == found["checkpoint_step"]
    assert 8 <= found["step"] < found["total_steps"]
    assert found["best_validation_loss"] is None
    assert found["loss"] > found["nll"] > 0
    assert found["candles_per_s"] > 0


def test_a_finished_run_says_so(interrupted, candles):
    config, folder = interrupted
    train(config, folder, candles=candles, resume=True)
    found = status_of(folder, now=LATER)
    assert (found["state"], found["eta_s"], found["error"]) == ("finished", 0.0, None)
    summary = json.loads((folder / "training_summary.json").read_text(encoding="utf-8"))
    assert found["best_validation_loss"] == summary["best_loss"]
    assert found["step"] == summary["steps"]


def test_one_that_is_not_heard_of_is_silent(interrupted):
    _, folder = interrupted
    said = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    (folder / STATUS_FILE).write_text(json.dumps(said | {"state": "running"}), encoding="utf-8")
    now = datetime.fromisoformat(said["updated_at"])
    assert status_of(folder, now=now + timedelta(seconds=30))["state"] == "running"
    assert status_of(folder, now=now + timedelta(seconds=300))["state"] == "silent"


def test_the_command_lists_all_runs(interrupted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", "status", "--all", "--json"])
    assert not stop.value.code
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run"], row["state"]) == ("runs/one", "interrupted")
    with pytest.raises(SystemExit):
        main(["train", "status", "runs/one"])
    said = capsys.readouterr().out
    assert "interrupted" in said
    assert f"{row['step']}/{row['total_steps']}" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which run? marketgpt train status RUN"),
        (["nowhere"], "nowhere is not a run: it has neither status.json nor manifest.json"),
        (["--all"], "no run below runs"),
    ],
)
def test_what_is_no_run_is_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", "status", *arguments])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "{", '{"state": "running"}', '{"state": "running", "updated_at": 3}'])
def test_a_damaged_status_is_one_line(tmp_path, text):
    (tmp_path / STATUS_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"status\.json"):
        status_of(tmp_path, now=SystemClock().now())


def test_runs_are_found_once_each(tmp_path):
    for name in ("b", "a"):
        for file in (STATUS_FILE, "manifest.json"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text("{}", encoding="utf-8")
    assert [path.name for path in runs_below([tmp_path])] == ["a", "b"]
