"""The real MLflow with a local file, read back by its own client."""

from __future__ import annotations

import pytest

pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
pytest.importorskip("marketgpt_example_mlflow", reason="marketgpt-example-mlflow is not installed")

from marketgpt_example_mlflow.observer import flat
from mlflow import MlflowClient

from marketgpt_core.plugins import PluginGroup
from marketgpt_training.observers import GROUP, SPECS, Observers, RunInfo


def group(monkeypatch):
    """What is installed, but for the other example."""
    monkeypatch.setenv("MARKETGPT_DISABLE_PLUGINS", "marketgpt-example-wandb")
    found = PluginGroup(GROUP, SPECS)
    found.load()
    return found


@pytest.fixture
def observers(monkeypatch):
    monkeypatch.setenv("MARKETGPT_STRICT_PLUGINS", "1")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Observers(group(monkeypatch))


def info(tmp_path, *, starts=1, step=0):
    folder = tmp_path / "it's a run"
    folder.mkdir(exist_ok=True)
    config = {"optim": {"lr": 0.5}, "data": {"symbols": ["X"] * 1_000}}
    run = RunInfo(path=folder, total_steps=4, num_parameters=7, config=config)
    run.pace.begin(4, starts=starts, step=step)
    return run


def told(observers, run, steps, error=None):
    observers.tell("train_start", run=run)
    for step in steps:
        run.pace.advance(step, float(step))
        observers.tell("step_end", run=run, step=step, metrics={"loss": 5.0 - step, "lr": 0.1})
    observers.tell("epoch_end", run=run, epoch=1, metrics={"loss": 1.5})
    observers.tell("checkpoint_saved", run=run, step=steps[-1], path=run.path / "checkpoints" / "2")
    observers.tell("train_end", run=run, error=error)


def runs(tmp_path):
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("marketgpt")
    return client, client.search_runs([experiment.experiment_id])


def test_it_comes_through_its_entry_point(monkeypatch):
    listening = group(monkeypatch).hook.marketgpt_step_end.get_hookimpls()
    names = {one.plugin_name for one in listening}
    assert any("example-mlflow" in name for name in names), names


def test_a_run_that_fails_and_goes_on_is_one_run(observers, tmp_path):
    told(observers, info(tmp_path), (1, 2), error=ValueError("no disk"))
    client, (found,) = runs(tmp_path)
    assert (found.info.status, found.info.run_name) == ("FAILED", "it's a run")
    assert found.data.tags["marketgpt.error"] == "ValueError: no disk"

    told(observers, info(tmp_path, starts=2, step=2), (3, 4))
    client, (found,) = runs(tmp_path)
    assert found.info.status == "FINISHED"
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert sorted((one.step, one.value) for one in history) == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)]
    assert found.data.metrics["validation/loss"] == 1.5
    assert (found.data.params["optim.lr"], found.data.params["num_parameters"]) == ("0.5", "7")
    assert found.data.tags["marketgpt.checkpoint_step"] == "4"


def test_a_configuration_becomes_parameters():
    assert dict(flat({"a": {"b": {"c": None}}, "d": "x" * 900})) == {"a.b.c": "None", "d": "x" * 500}
