"""Several processes on this machine through the ``deepspeed`` launcher."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import RunError
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet
from marketgpt_training import launch as launching
from marketgpt_training.checkpoints import CheckpointStore
from marketgpt_training.launch import Here, launch

OVERRIDES = (
    "data.symbols=[]",
    "data.start=2014-01-01",
    "split.train_until=2018-01-01",
    "split.validation_until=2019-01-01",
    "horizons=[1,5]",
    'covariates=["volatility"]',
    "disturb={market_noise=0.4,withhold_rate=0.3,mirrored_candles=0.8}",
    # No dropout: ranks forget differently on purpose, one process could not follow.
    "model.options={context=16,num_layers=2,dim=16,num_heads=2,dropout=0.0}",
    "loop.max_epochs=40",
    "loop.max_steps=200",
    "loop.patience_epochs=40",
    "loop.batch_size=8",
    "optim.ema_decay=0.99",
    "evaluation.horizons=[1,5]",
)
ARMS = {
    "torch": (1, "engine={name='torch'}"),
    "torch in micro-batches": (1, "engine={name='torch'}", "loop.micro_batch_size=4"),
    **{
        f"{processes} ranks, ZeRO {stage}": (
            processes,
            f"engine={{name='deepspeed',options={{zero_stage={stage}}}}}",
            *(["loop.micro_batch_size=2"] if stage == 2 else []),
        )
        for processes, stage in ((1, 0), (2, 0), (2, 1), (2, 2), (2, 3))
    },
}


def rows(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def command_of(source, folder, processes, *overrides):
    return [
        sys.executable, "-c", "from marketgpt_core.cli import main; main()", "train", "--preset", "demo",
        "--source", source, "--no-evaluate", "--processes", str(processes), *OVERRIDES, *overrides,
        f"run_dir={folder}",
    ]  # fmt: skip


def train(source, folder, processes, *overrides):
    command = command_of(source, folder, processes, *overrides)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-4_000:]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ranks_and_zero_stages_walk_one_curve(tmp_path):
    """200 steps of the same global batches: ragged windows, disturbed inputs, a last batch too small."""
    candles = tmp_path / "candles"
    made = make_candles(("AAA", "BBB", "CCC"), num_candles=1_450, start="2014-01-01")
    write_parquet(Candles([*list(made.values())[:2], made["CCC"].between("2016-03-01", None)]), candles)
    for name, (processes, *overrides) in ARMS.items():
        train(f"parquet:{candles}", tmp_path / name, processes, *overrides)
    runs = {name: Run.open(tmp_path / name) for name in ARMS}
    losses = {
        name: {(row["kind"], row["step"]): row["loss"] for row in rows(run.path)}
        for name, run in runs.items()
    }
    expected = losses.pop("torch")
    assert [step for kind, step in expected if kind == "step"] == list(range(1, 201))
    for name, curve in losses.items():
        assert curve.keys() == expected.keys(), name
        worst = max(abs(curve[key] / expected[key] - 1) for key in expected)
        assert worst < 1e-4, f"{name}: {worst}"
    sizes = {run.json("training_summary.json")["num_parameters"] for run in runs.values()}
    assert len(sizes) == 1
    # It learnt something: a flat curve would agree with any other.
    assert expected["step", 200] < expected["step", 1] - 0.01


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_signal_stops_both_ranks_and_one_process_goes_on(tmp_path):
    candles = tmp_path / "candles"
    write_parquet(make_candles(("AAA", "BBB", "CCC"), num_candles=1_450, start="2014-01-01"), candles)
    source, engine = f"parquet:{candles}", "engine={name='deepspeed',options={zero_stage=1}}"
    train(source, tmp_path / "whole", 1, engine)
    folder = tmp_path / "run"
    running = subprocess.Popen(command_of(source, folder, 2, engine), stderr=subprocess.PIPE, text=True)
    # Far from the end: the ranks take a while to be told.
    until = time.monotonic() + 300
    while not (folder / "metrics.jsonl").exists() or len(rows(folder)) < 5:
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 75, said[-2_000:]
    assert "stopped by SIGTERM at step" in said
    stopped = CheckpointStore(folder).steps()[-1]
    assert 5 <= stopped < 200
    train(source, folder, 1, engine, "--resume")
    losses = [
        {(row["kind"], row["step"]): row["loss"] for row in rows(one)} for one in (folder, tmp_path / "whole")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_rank_that_fails_is_one_error_and_leaves_no_run(make_config, tmp_path, capfd):
    config = make_config("data.source=parquet:no/such/folder")
    with pytest.raises(
        RunError, match=r"training failed: the deepspeed launcher ended with status \d+; see above"
    ):
        launch(config, tmp_path / "run", Here(2))
    assert "no/such/folder" in capfd.readouterr().err
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_folder_with_a_run_is_left_alone(make_config, tmp_path):
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="already holds a finished run"):
        launch(make_config(), tmp_path, Here(2))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_missing_launcher_is_named(make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(launching.sys, "executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(
        RunError, match=r"--processes needs the deepspeed launcher, which is not at .*bin/deepspeed"
    ):
        launch(make_config(), tmp_path / "run", Here(2))


def test_the_command_carries_the_number_of_ranks_and_the_whole_path(make_config, tmp_path, monkeypatch):
    asked = []

    def started(command, env):
        asked.append(command)
        return Popen([sys.executable, "-c", ""])

    Popen = subprocess.Popen
    monkeypatch.setattr(launching.subprocess, "Popen", started)
    monkeypatch.setattr(Path, "exists", lambda self: self.name == "deepspeed" or self.is_file())
    monkeypatch.chdir(tmp_path)
    launch(make_config("seed=5"), Path("run"), Here(4))
    (command,) = asked
    assert command[2:4] == ["--num_accelerators", "4"]
    assert command[-2:] == ["marketgpt_training.worker", str(tmp_path / "run")]
    assert "seed = 5" in (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
