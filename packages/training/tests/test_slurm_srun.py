"""Ranks of a Slurm job: who starts them, which one a process is, and what it ends with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_training.interruption import EXIT_STATUS, TrainingInterrupted
from marketgpt_training.launch import Here, choose_launcher, launch
from marketgpt_training.pipeline import train
from marketgpt_training.slurm import srun
from marketgpt_training.slurm.rank import FAILED, rank_environment
from marketgpt_training.slurm.srun import RANK, Srun

# Of a batch script: sbatch --nodes=2 --ntasks-per-node=2 --gpus-per-node=2 --cpus-per-task=4.
JOB = {
    "SLURM_JOB_ID": "81234",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS": "4",
    "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_GPUS_ON_NODE": "2",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_PROCID": "0",
}


@pytest.fixture(autouse=True)
def _programs(tmp_path, monkeypatch):
    """An srun that ends as it is told to, and notes what it was asked for."""
    programs = {
        "srun": 'echo "$@" $MASTER_ADDR:$MASTER_PORT >asked.txt\nexit $SRUN_STATUS\n',
        "scontrol": 'case "$3" in "n[1-2]") printf "n1\\nn2\\n" ;; *) echo bad list >&2; exit 1 ;; esac\n',
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}", encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)


def test_outside_a_job_processes_start_here():
    assert choose_launcher("auto", environment={}) is None
    assert choose_launcher("auto", processes=2, environment={}) == Here(2)


def test_in_a_job_every_task_is_a_rank():
    job = choose_launcher("auto", environment=JOB)
    assert job == Srun(job_id=81_234, ranks=4, node_list="n[1-2]", cpus_per_task="4")
    command = job.command("python", ["--resume", "/runs/a"])
    assert command[:3] == ["srun", "--ntasks=4", "--cpus-per-task=4"]
    assert "--kill-on-bad-exit=1" in command
    assert command[-5:] == ["python", "-m", RANK, "--resume", "/runs/a"]
    assert job.environment() == {"MASTER_ADDR": "n1", "MASTER_PORT": "13234"}


def test_one_process_here_is_told_to_be():
    assert choose_launcher("here", environment=JOB) is None
    assert choose_launcher("here", processes=2, environment=JOB) == Here(2)
    single = JOB | {"SLURM_NTASKS": "1", "SLURM_TASKS_PER_NODE": "1"}
    assert choose_launcher("auto", processes=2, environment=single) == Here(2)
    assert choose_launcher("auto", environment=single).ranks == 1


def test_tasks_are_counted_where_slurm_gives_no_sum():
    environment = JOB | {"SLURM_NTASKS_PER_NODE": "2"}
    del environment["SLURM_NTASKS"]
    assert Srun.of_job(environment).ranks == 4


def test_inside_a_step_of_one_task_and_in_sallocs_shell():
    assert (
        choose_launcher("auto", environment=JOB | {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
    )
    assert choose_launcher("auto", environment=JOB | {"SLURM_STEP_ID": "4294967290"}).ranks == 4


@pytest.mark.parametrize(
    ("changed", "arguments", "said"),
    [
        (
            {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
            {},
            "srun started this command 4 times: call it once",
        ),
        ({"SLURM_TASKS_PER_NODE": "2,4"}, {}, "4 tasks on a node with 2 GPUs: .* --ntasks-per-node=2"),
        ({}, {"processes": 3}, "--processes 3, but this job has 4 tasks"),
    ],
)
def test_what_does_not_fit_is_said_before_time_is_spent(changed, arguments, said):
    with pytest.raises(ConfigError, match=said):
        choose_launcher("auto", environment=JOB | changed, **arguments)


def test_srun_is_refused_outside_a_job():
    with pytest.raises(ConfigError, match="--launcher srun is for the batch script of a Slurm job"):
        choose_launcher("srun", environment={})


def test_a_missing_srun_is_named(monkeypatch):
    job = Srun.of_job(JOB)
    monkeypatch.setattr(srun.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="no srun on the path"):
        job.command("python", [])
    assert Srun.of_job(JOB | {"SLURM_NTASKS": "1"}) is None


def test_a_node_list_slurm_cannot_read():
    with pytest.raises(ConfigError, match="scontrol cannot tell the hosts of 'x': bad list"):
        Srun(job_id=1, ranks=2, node_list="x").environment()


def test_a_batch_that_does_not_divide_is_refused_before_the_folder_is_claimed(make_config, tmp_path):
    with pytest.raises(ConfigError, match=r"loop\.batch_size 8 is not a multiple of 3 processes"):
        launch(make_config(), tmp_path / "run", Srun(job_id=1, ranks=3, node_list="n[1-2]"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("0", None, ""),
        ("75", TrainingInterrupted, "stopped; see above: go on with --resume run_dir="),
        ("120", RunError, "training failed: srun ended with status 120; see above"),
        ("137", RunError, "training failed: srun ended with status 137; see above"),
    ],
)
def test_sruns_status_tells_what_came_of_the_ranks(
    *, make_config, tmp_path, monkeypatch, status, error, said
):
    monkeypatch.setenv("SRUN_STATUS", status)
    folder = tmp_path / "run"
    with pytest.raises(error, match=said) if error else nullcontext():
        launch(make_config("seed=5"), folder, Srun(job_id=8, ranks=2, node_list="n[1-2]"), resume=True)
    asked = (tmp_path / "asked.txt").read_text(encoding="utf-8")
    assert asked.startswith("--ntasks=2 ")
    assert asked.endswith(f" -m {RANK} --resume {folder} n1:12008\n")
    assert "seed = 5" in (folder / "config.toml").read_text(encoding="utf-8")


def test_an_engine_of_one_process_refuses_to_be_started_twice(make_config, candles, tmp_path, monkeypatch):
    """Or both would take themselves for the one that writes."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="2 processes were started, and engine 'torch' is of 1"):
        train(make_config(), tmp_path / "run", candles=candles)


@pytest.mark.parametrize(
    ("gpus", "local"), [(None, "3"), ("0,1,2,3", "3"), ("3", "0"), ("GPU-8932f937", "0")]
)
def test_a_rank_is_the_task_and_takes_a_gpu_it_can_see(gpus, local):
    task = {"SLURM_PROCID": "7", "SLURM_LOCALID": "3", "SLURM_NTASKS": "8"}
    said = rank_environment(task | ({"CUDA_VISIBLE_DEVICES": gpus} if gpus else {}))
    assert said == {"RANK": "7", "LOCAL_RANK": local, "WORLD_SIZE": "8"}


def as_rank(folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", RANK, str(folder)], capture_output=True, text=True, check=False, timeout=100,
        env=os.environ | {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NTASKS": "2"} | environment,
    )  # fmt: skip


def test_a_rank_that_does_not_see_the_folder_says_where_it_is(tmp_path):
    done = as_rank(tmp_path / "elsewhere")
    assert done.returncode == FAILED
    assert done.stderr.startswith("error: rank 1 on ")
    assert "config.toml: run_dir must be on a file system that all nodes of the job share" in done.stderr


def test_a_failure_outweighs_the_stop_of_the_ranks_it_takes_along():
    """srun ends with the highest of its tasks' statuses."""
    assert FAILED > EXIT_STATUS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_process_with_nothing_to_keep_leaves_at_once_with_the_status_of_a_stop(number):
    code = (
        "import os, time; from marketgpt_training.interruption import leaving_at_once; leaving_at_once(); "
        f"os.kill(os.getpid(), {int(number)}); time.sleep(60)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == EXIT_STATUS
