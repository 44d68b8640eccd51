"""Asking a cluster: which partitions there are, and taking a job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marketgpt_core.errors import ConfigError, RunError, hint
from marketgpt_core.files import ensure_writable_folder, write_text
from marketgpt_training.slurm.job import Job, shipped_scripts

JOBS_FOLDER = "slurm-jobs"
_NEEDED = ("env.sh", "requeue.sh")
# A controller under load answers late.
_TIMEOUT_S = 120.0


def partitions() -> list[str]:
    """Return the cluster's partitions, its default first.

    Raises:
        ConfigError: when Slurm is not here.
        RunError: when it does not answer.
    """
    found = _ask("sinfo", "--noheader", "--format=%P").split()
    return [one.rstrip("*") for one in sorted(dict.fromkeys(found), key=lambda name: not name.endswith("*"))]


def check_partition(name: str | None) -> None:
    """Raise ConfigError for a partition the cluster does not have; the message says which it has."""
    if name is None:
        return
    known = partitions()
    for one in name.split(","):
        if one not in known:
            raise ConfigError(f"unknown partition {one!r}; {hint(one, known)}")


@dataclass(frozen=True)
class Submitted:
    """A job that waits or runs.

    Attributes:
        job_id: Slurm's number.
        script: What was submitted.
        log: Where the job writes what it says.
        run_dir: Where it trains.
        added: Files of ``slurm/`` that were not there and now are.
    """

    job_id: str
    script: Path
    log: Path
    run_dir: Path
    added: tuple[Path, ...]


def submit(job: Job, script: str, *, home: Path, name: str, run_dir: Path | None = None) -> Submitted:
    """Write a batch script and submit it.

    Args:
        job: What it asks for.
        script: Its text.
        home: The folder that holds ``slurm/``; what is lacking there is added, nothing is replaced.
        name: Of the file written below ``slurm-jobs/``.
        run_dir: Where the script trains, when it says so; else a folder called after the job.

    Raises:
        ConfigError: when Slurm is not here, or has no such partition.
        RunError: when a file cannot be written, or Slurm refuses the job; the message is its own.
    """
    _program("sbatch")
    check_partition(job.partition)
    added = add_scripts(home / "slurm", _NEEDED)
    path = write_text(ensure_writable_folder(home / JOBS_FOLDER) / f"{name}.sh", script)
    path.chmod(0o755)
    # The job finds this very environment, also when nobody has activated it.
    environment = {"MARKETGPT_VENV": sys.prefix, **os.environ, "MARKETGPT_HOME": str(home)}
    answer = _ask("sbatch", "--parsable", f"--chdir={home}", str(path), environment=environment)
    job_id = answer.strip().partition(";")[0]
    runs = Path(os.environ.get("MARKETGPT_RUNS", home / "runs"))
    return Submitted(
        job_id=job_id,
        script=path,
        log=home / f"{job.name}-{job_id}.out",
        run_dir=run_dir or runs / f"{job.name}-{job_id}",
        added=added,
    )


def add_scripts(folder: Path, names: Sequence[str] = (), *, replace: bool = False) -> tuple[Path, ...]:
    """Write the files of ``slurm/`` that a folder lacks; return what was written.

    Args:
        folder: Where.
        names: Which; all by default.
        replace: Also those that are there and differ.
    """
    written = []
    for name, text in shipped_scripts().items():
        path = folder / name
        if names and name not in names:
            continue
        if path.exists() and (not replace or path.read_text(encoding="utf-8") == text):
            continue
        write_text(path, text).chmod(0o755)
        written.append(path)
    return tuple(written)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ConfigError(
            f"no {name} on the path: no login node of a Slurm cluster (--dry-run shows the script)"
        )
    return path


def _ask(name: str, *arguments: str, environment: dict[str, str] | None = None) -> str:
    command = [_program(name), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise RunError(f"{name} does not answer within {_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        said = " ".join(done.stderr.split()).replace(f"{name}: error: ", "")
        raise RunError(f"{name} refuses: {said}")
    return done.stdout
