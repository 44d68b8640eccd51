"""Several processes on this machine through the ``deepspeed`` launcher."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from marketgpt_core.errors import RunError
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet
from marketgpt_training import launch as launching
from marketgpt_training.launch import launch

OVERRIDES = (
    "data.symbols=[]",
    "data.start=2014-01-01",
    "split.train_until=2018-01-01",
    "split.validation_until=2019-01-01",
    "horizons=[1,5]",
    # No dropout: ranks forget differently on purpose, one process could not follow.
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.0}",
    "loop.max_epochs=3",
    "loop.batch_size=8",
    "evaluation.horizons=[1,5]",
)


def curve(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["nll"] for row in rows if row["kind"] == "epoch"]


def steps(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row["step"] for row in map(json.loads, lines) if row["kind"] == "step"]


def train(source, folder, processes):
    command = [
        sys.executable, "-c", "from marketgpt_core.cli import main; main()", "train", "--preset", "demo",
        "--source", source, "--no-evaluate", "--processes", str(processes), *OVERRIDES, f"run_dir={folder}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-4_000:]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ranks_train_what_one_process_trains(tmp_path):
    candles = tmp_path / "candles"
    write_parquet(make_candles(("AAA", "BBB", "CCC"), num_candles=1_450, start="2014-01-01"), candles)
    for name, processes in (("one", 1), ("two", 2)):
        train(f"parquet:{candles}", tmp_path / name, processes)
    one, two = (Run.open(tmp_path / name) for name in ("one", "two"))
    assert one.data_fingerprint == two.data_fingerprint
    assert set(one.manifest["files"]) == set(two.manifest["files"])
    # The same global batch, so as many steps, each written once.
    assert steps(one.path) == steps(two.path) == list(range(1, len(steps(one.path)) + 1))
    assert curve(two.path) == pytest.approx(curve(one.path), rel=1e-2)
    assert (
        two.json("training_summary.json")["num_parameters"]
        == one.json("training_summary.json")["num_parameters"]
    )
    # It learnt something: a flat curve would agree with any other.
    assert curve(one.path)[-1] < curve(one.path)[0] - 0.01


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rank_that_fails_is_one_error_and_leaves_no_run(make_config, tmp_path, capfd):
    config = make_config("data.source=parquet:no/such/folder")
    with pytest.raises(
        RunError, match=r"training failed: the deepspeed launcher ended with status \d+; see above"
    ):
        launch(config, tmp_path / "run", processes=2)
    assert "no/such/folder" in capfd.readouterr().err
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_folder_with_a_run_is_left_alone(make_config, tmp_path):
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="already holds a finished run"):
        launch(make_config(), tmp_path, processes=2)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_missing_launcher_is_named(make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(launching.sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(
        RunError, match=r"--processes needs the deepspeed launcher, which is not at .*bin/deepspeed"
    ):
        launch(make_config(), tmp_path / "run", processes=2)


def test_the_command_carries_the_number_of_ranks_and_the_whole_path(make_config, tmp_path, monkeypatch):
    asked = []

    def run(command, check):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(launching.subprocess, "run", run)
    monkeypatch.setattr(Path, "exists", lambda self: self.name == "deepspeed" or self.is_file())
    monkeypatch.chdir(tmp_path)
    launch(make_config("seed=5"), Path("run"), processes=3)
    (command,) = asked
    assert command[2:4] == ["--num_accelerators", "3"]
    assert command[-2:] == ["marketgpt_training.worker", str(tmp_path / "run")]
    assert "seed = 5" in (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
