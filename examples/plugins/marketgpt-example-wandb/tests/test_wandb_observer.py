"""The real wandb, offline: what it wrote is read back from its file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

pytest.importorskip("wandb", reason="wandb is not installed")
pytest.importorskip("marketgpt_example_wandb", reason="marketgpt-example-wandb is not installed")

import wandb
from marketgpt_example_wandb.observer import run_id
from wandb.proto import wandb_internal_pb2

from marketgpt_core.plugins import PluginGroup
from marketgpt_training.observers import GROUP, SPECS, Observers, RunInfo


def group(monkeypatch):
    """What is installed, but for the other example."""
    monkeypatch.setenv("MARKETGPT_DISABLE_PLUGINS", "marketgpt-example-mlflow")
    found = PluginGroup(GROUP, SPECS)
    found.load()
    return found


@pytest.fixture
def observers(monkeypatch):
    for name, value in (
        ("WANDB_MODE", "offline"),
        ("WANDB_SILENT", "true"),
        ("MARKETGPT_STRICT_PLUGINS", "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    yield Observers(group(monkeypatch))
    wandb.teardown()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    info = RunInfo(path=folder, total_steps=4, num_parameters=7, config={"optim": {"lr": 0.5}, "seed": 3})
    info.pace.begin(4)
    return info


def records(run):
    """Everything in wandb's file, in order: protobuf in the format of LevelDB's log, blocks of 32 KiB."""
    (path,) = (run.path.parent / "wandb").glob("offline-run-*/*.wandb")
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    found, parts, place = [], b"", 7
    while place + 7 <= len(data):
        left = 32_768 - place % 32_768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # a whole record, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def items_of(record_items):
    return {(one.key or ".".join(one.nested_key)): json.loads(one.value_json) for one in record_items}


def told(observers, run, error=None):
    observers.tell("train_start", run=run)
    for step in (1, 2):
        run.pace.advance(step, float(step))
        observers.tell("step_end", run=run, step=step, metrics={"loss": 3.0 - step, "lr": 0.1})
    observers.tell("epoch_end", run=run, epoch=1, metrics={"loss": 1.5})
    observers.tell("checkpoint_saved", run=run, step=2, path=run.path / "checkpoints" / "2")
    observers.tell("train_end", run=run, error=error)


def test_it_comes_through_its_entry_point(monkeypatch):
    listening = group(monkeypatch).hook.marketgpt_step_end.get_hookimpls()
    names = {one.plugin_name for one in listening}
    assert any("example-wandb" in name for name in names), names


def test_a_run_is_logged_whole(observers, run):
    told(observers, run)
    found = records(run)
    started = next(one.run for one in found if one.HasField("run"))
    assert (started.run_id, started.display_name, started.project) == (run_id(run.path), "first", "marketgpt")
    config = {one.key: json.loads(one.value_json) for one in started.config.update}
    assert config["optim"] == {"lr": 0.5}
    assert (config["num_parameters"], config["total_steps"]) == (7, 4)
    history = [items_of(one.history.item) for one in found if one.HasField("history")]
    logged = {row["_step"]: row for row in history}
    assert (logged[1]["train/loss"], logged[2]["train/loss"]) == (2.0, 1.0)
    assert (logged[2]["validation/loss"], logged[2]["epoch"]) == (1.5, 1)
    summary = {}
    for one in found:
        if one.HasField("summary"):
            summary |= items_of(one.summary.update)
    assert (summary["checkpoint/step"], summary["ended_with"]) == (2, "trained")
    assert next(one.exit.exit_code for one in found if one.HasField("exit")) == 0


def test_a_failure_is_told(observers, run):
    told(observers, run, error=ValueError("no disk"))
    found = records(run)
    assert next(one.exit.exit_code for one in found if one.HasField("exit")) == 1
    assert any("no disk" in item.value_json for one in found for item in one.summary.update)


def test_the_same_folder_is_the_same_run(tmp_path):
    assert run_id(tmp_path / "a") == run_id(Path(f"{tmp_path}/b/../a"))
    assert run_id(tmp_path / "a") != run_id(tmp_path / "b")
