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


def test_time_is_counted_over_all_starts(interrupted, candles):
    config, folder = interrupted
    before = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    # What a kill took after the last checkpoint is known to the status alone.
    (folder / STATUS_FILE).write_text(json.dumps(before | {"spent_s": 5_000.0}), encoding="utf-8")
    train(config, folder, candles=candles, resume=True)
    after = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    assert (before["starts"], after["starts"]) == (1, 2)
    assert after["first_started_at"] == before["first_started_at"] < after["updated_at"]
    assert 5_000.0 < after["spent_s"] < 5_300.0
    assert after["training_s"] > before["training_s"] > 0
    events = [(one["what"], one["step"]) for one in after["events"]]
    assert events[0] == ("start", 0), events
    assert ("start", before["step"]) in events
    assert "checkpoint" in {what for what, _ in events}
    assert events[-1] == ("trained", after["step"])
    found = status_of(folder, now=LATER)
    assert found["elapsed_s"] > 0
    assert found["rss_gib"] > 0.05


def test_a_run_that_may_stop_early_says_at_most(interrupted, capsys):
    _, folder = interrupted
    said = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    assert said["eta_at_most"] is False  # two epochs, a patience of three
    changed = {"state": "running", "updated_at": LATER.isoformat(), "eta_at_most": True, "eta_s": 60.0}
    (folder / STATUS_FILE).write_text(json.dumps(said | changed | {"gpu_utilisation": 0.5}), encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["train", "status", str(folder), "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["eta_at_most"], row["eta_s"], row["gpu_utilisation"]) == (True, 60.0, 0.5)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step", "<b>", "step is '<b>', not a number"),
        ("eta_s", 1e300, r"eta_s is '1e\+300', not a number"),
        ("loss", True, "loss is 'True', not a number"),
        ("error", [1], r"error is '\[1\]', not text"),
        ("updated_at", "2026-01-01T00:00:00", "updated_at has no time zone"),
        ("first_started_at", "soon", r"does not say when it was written \(first_started_at\)"),
    ],
)
def test_a_status_with_other_things_in_it_is_one_line(tmp_path, key, value, said):
    values = {"state": "running", "updated_at": LATER.isoformat(), key: value}
    (tmp_path / STATUS_FILE).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(RunError, match=said):
        status_of(tmp_path, now=LATER)


def test_a_damaged_run_among_others_is_a_row(interrupted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, file, text in (("bad", STATUS_FILE, "{"), ("[red]worse", "metrics.jsonl", '["}')):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / STATUS_FILE).write_text('{"state": "failed"}', encoding="utf-8")
        (tmp_path / "runs" / name / file).write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["train", "status", "--all", "--json"])
    assert not stop.value.code
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)}
    assert [rows[name]["state"] for name in sorted(rows)] == ["unreadable", "unreadable", "interrupted"]
    assert "status.json" in rows["runs/bad"]["error"]
    assert "metrics.jsonl" in rows["runs/[red]worse"]["error"]
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["train", "status", "--all"])
    assert "[red]" in capsys.readouterr().out


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
