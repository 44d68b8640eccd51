"""The scripts of slurm/ without a Slurm: what ships, what bash says of them, when a job is put back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from marketgpt_training.slurm.job import shipped_scripts

FOLDER = Path(__file__).parents[1] / "slurm"
LOCAL = [FOLDER / "local" / name for name in ("up", "down", "common.sh")]
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_the_repositorys_scripts_are_those_the_package_brings():
    """After a change to the package's: uv run marketgpt slurm scripts slurm --replace."""
    assert {path.name: path.read_text(encoding="utf-8") for path in SCRIPTS} == shipped_scripts()


@pytest.mark.parametrize("path", [*SCRIPTS, *LOCAL], ids=lambda path: path.name)
def test_bash_and_shellcheck_have_nothing_to_say(path):
    subprocess.run(["bash", "-n", path], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--external-sources", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_of_one_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not [
        line for line in text.splitlines() if "/work/" in line or "/root/" in line or "/home/" in line
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in SCRIPTS if "\n#SBATCH" in path.read_text(encoding="utf-8")],
    ids=lambda path: path.name,
)
def test_every_job_says_what_it_needs_to_survive(path):
    headers = {line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#SBATCH")}
    assert {"#SBATCH --requeue", "#SBATCH --open-mode=append"} <= headers
    assert "#SBATCH --signal=B:USR1@300" in headers or path.name == "evaluate_run.sh"


PROGRAMS = {
    # A cluster of this one job.
    "scontrol": """
case "$*" in
  *"show job"*) echo "JobId=7 JobName=x JobState=${STATE:-RUNNING} Requeue=${REQUEUE:-1} Restarts=0" ;;
  *) echo "scontrol $*" ;;
esac""",
    "sleep": "",
}


@pytest.fixture
def job(tmp_path):
    """Run a command as the batch script of job 7 does; return what it said and its status."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    script = tmp_path / "job.sh"
    script.write_text(
        f'set -euo pipefail\nsource "{FOLDER}/requeue.sh"\nrun_and_requeue "$@" "$(run_folder)"\n',
        encoding="utf-8",
    )

    def run(command: str, **environment: str) -> tuple[str, int]:
        done = subprocess.run(
            ["bash", script, "bash", "-c", command], capture_output=True, text=True, check=False, timeout=60,
            env=os.environ | {
                "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "full",
                "MARKETGPT_RUNS": "/runs", "MARKETGPT_MOST_RESTARTS": "5", **environment,
            },
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout, done.returncode

    return run


REQUEUED = "\nscontrol requeue 7\n"
# Warned, the command has this long to write its checkpoint; the script must not take the warning for its end.
WARN = "kill -USR1 $PPID; for i in $(seq 200); do read -t 0.01 < <(:) || true; done; "


@pytest.mark.parametrize(
    ("command", "status", "requeued"),
    [
        ("exit 0", 0, False),
        ("exit 75", 75, True),
        ("exit 2", 2, False),
        ("exit 1", 1, False),
        ("kill -TERM $$", 143, True),
        ("kill -USR1 $$", 138, True),
        (f"trap 'exit 75' USR1; {WARN}", 75, True),
        (f"trap '' USR1; {WARN} exit 75", 75, True),
        (f"trap '' USR1; {WARN} exit 0", 0, False),
        (f"trap '' USR1; {WARN} exit 2", 2, False),
        (f"trap '' USR1; {WARN} exit 9", 9, True),
        (f"trap 'exit 75' USR1; {WARN.replace('USR1', 'TERM')}", 75, True),
    ],
)
def test_what_stopped_with_a_checkpoint_is_put_back_and_what_failed_is_not(job, command, status, requeued):
    said, ended = job(command)
    assert ended == status
    assert (REQUEUED in said) == requeued, said


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED", "PREEMPTED", "PENDING"])
def test_a_job_that_slurm_has_ended_or_put_back_is_left_to_it(job, state):
    said, status = job("exit 75", STATE=state)
    assert status == 75
    assert said.endswith(f"stopped with status 75; the job is {state} and is left to Slurm\n")


def test_a_job_is_put_back_so_many_times(job):
    assert REQUEUED in job("exit 75", SLURM_RESTART_COUNT="4")[0]
    assert "MARKETGPT_MOST_RESTARTS: not requeued" in job("exit 75", SLURM_RESTART_COUNT="5")[0]


def test_a_cluster_that_does_not_requeue_is_told_of(job):
    assert "submit it again with run_dir= as above" in job("exit 75", REQUEUE="0")[0]


def test_the_last_task_of_an_array_is_put_back_alone(job):
    said, _ = job("exit 75", SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3")
    assert "\nscontrol requeue 7_3\n" in said


@pytest.mark.parametrize("name", ["../../etc", "a b;c$(id)"])
def test_a_runs_folder_is_below_the_runs_whatever_the_job_is_called(job, name):
    said, _ = job('echo "$0"', SLURM_JOB_NAME=name)
    folder = Path(said.splitlines()[-1])
    assert folder.parent == Path("/runs")
    assert folder.name.endswith("-7")


def test_without_an_environment_the_scripts_say_what_to_set(tmp_path):
    (tmp_path / "slurm").symlink_to(FOLDER)
    done = subprocess.run(
        ["bash", FOLDER / "train_crypto_a100.sh"], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: no command marketgpt: set MARKETGPT_VENV to its environment")


def test_submitted_from_elsewhere_the_scripts_say_where_from(tmp_path):
    done = subprocess.run(
        ["bash", FOLDER / "train_crypto_a100.sh"], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"error: {tmp_path} has no slurm/env.sh: sbatch from there, or set MARKETGPT_HOME\n"
    )
