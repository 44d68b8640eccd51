"""Several processes: on this machine through the ``deepspeed`` launcher, in a Slurm job through ``srun``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from marketgpt_core.config import to_toml
from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.files import write_text
from marketgpt_training.config import TrainConfig
from marketgpt_training.interruption import EXIT_STATUS, StopRequest, TrainingInterrupted, listening
from marketgpt_training.loading import with_symbols
from marketgpt_training.ports import free_port
from marketgpt_training.resume import CONFIG_FILE, claim_run
from marketgpt_training.slurm.srun import Srun

WORKER = "marketgpt_training.worker"
LAUNCHERS = ("auto", "here", "srun")
_POLL_S = 0.2


class Launcher(Protocol):
    """Starts ranks that each read the run's folder, and asks them to stop."""

    @property
    def name(self) -> str:
        """What a person knows it by."""

    @property
    def ranks(self) -> int:
        """How many it starts."""

    def command(self, python: str, arguments: Sequence[str]) -> list[str]:
        """Return the command; the last of the arguments is the folder."""

    def environment(self) -> dict[str, str]:
        """Return what the command needs beside this process's environment."""

    def stop(self, running: subprocess.Popen[bytes], signal_name: str) -> None:
        """Ask the ranks to stop."""


@dataclass(frozen=True)
class Here:
    """Starts ranks on this machine."""

    ranks: int
    name = "the deepspeed launcher"

    def command(self, python: str, arguments: Sequence[str]) -> list[str]:
        """See :class:`Launcher`.

        Raises:
            RunError: when DeepSpeed's launcher is not installed beside this interpreter.
        """
        launcher = Path(python).with_name("deepspeed")
        if not launcher.exists():
            raise RunError(f"--processes needs the deepspeed launcher, which is not at {launcher}")
        # DeepSpeed's own port is always the same: two trainings on a machine would meet each other.
        return [
            python, str(launcher), "--num_accelerators", str(self.ranks), "--master_port", str(free_port()),
            "--module", WORKER, *arguments,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """See :class:`Launcher`."""
        return {}

    def stop(self, running: subprocess.Popen[bytes], signal_name: str) -> None:
        """Send the signal to the ranks alone: DeepSpeed's launcher would die of it and take them along."""
        import psutil

        with suppress(psutil.Error):
            for process in psutil.Process(running.pid).children(recursive=True):
                with suppress(psutil.Error):
                    words = process.cmdline()
                    if WORKER in words and not any("deepspeed" in word for word in words):
                        process.send_signal(signal.Signals[signal_name])


def choose_launcher(
    name: str, *, processes: int = 1, environment: Mapping[str, str] = os.environ
) -> Launcher | None:
    """Return who starts the ranks; None when this process is the only one.

    Args:
        name: ``auto``: ``srun`` in a Slurm job's batch script, else here; ``here``; ``srun``.
        processes: Ranks asked for; 1 may also mean that nobody asked.
        environment: Says whether this is a Slurm job.

    Raises:
        ConfigError: when the job's tasks and what was asked for do not agree.
    """
    job = None if name == "here" else Srun.of_job(environment)
    if job is None and name == "srun":
        raise ConfigError(
            "--launcher srun is for the batch script of a Slurm job, and this is none: sbatch --ntasks=2 ..."
        )
    if job is not None and job.ranks == 1 < processes and name == "auto":
        job = None  # sbatch --ntasks=1 --wrap "marketgpt train --processes 2": one machine, as without Slurm
    if job is not None and processes not in {1, job.ranks}:
        raise ConfigError(
            f"--processes {processes}, but this job has {job.ranks} tasks, a rank each: leave --processes "
            "out, or use --launcher here for ranks on this node alone"
        )
    return job or (Here(processes) if processes > 1 else None)


def launch(config: TrainConfig, folder: Path, launcher: Launcher, *, resume: bool = False) -> None:
    """Train with the ranks a launcher starts; rank 0 writes and seals the folder.

    Args:
        config: The configuration.
        folder: The run's folder; every rank must see it.
        launcher: Starts the ranks.
        resume: Go on from the folder's newest checkpoint; from the start where there is none.

    Raises:
        ConfigError: when the batch cannot be divided among the ranks.
        RunError: when a rank fails; what it said stands above on standard error.
        TrainingInterrupted: when a signal stopped it; ``resume`` goes on.
    """
    config.loop.check_processes(launcher.ranks)
    arguments = [*(["--resume"] if resume else []), str(folder.resolve())]
    command, environment = launcher.command(sys.executable, arguments), launcher.environment()
    config = with_symbols(config)
    claim_run(config, folder, resume=resume)
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    with (
        listening() as stop,
        subprocess.Popen(command, env={**os.environ, **environment}) as running,  # noqa: S603 - ours
    ):
        status = _wait(running, stop, launcher)
    # Asked to stop, a rank may also have been ended by another one that was faster.
    if status == EXIT_STATUS or (status and stop):
        raise TrainingInterrupted(f"stopped; see above: go on with --resume run_dir={folder}")
    if status:
        raise RunError(f"training failed: {launcher.name} ended with status {status}; see above")


def _wait(running: subprocess.Popen[bytes], stop: StopRequest, launcher: Launcher) -> int:
    """Return the launcher's status; a request to stop is handed to the ranks, once."""
    told = False
    while True:
        try:
            return running.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if stop and not told:
                told = True
                launcher.stop(running, stop.signal_name)
