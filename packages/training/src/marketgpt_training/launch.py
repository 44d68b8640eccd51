"""Several processes on this machine through the ``deepspeed`` launcher."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from marketgpt_core.config import to_toml
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_text
from marketgpt_training.config import TrainConfig
from marketgpt_training.interruption import EXIT_STATUS, StopRequest, TrainingInterrupted, listening
from marketgpt_training.loading import with_symbols
from marketgpt_training.resume import CONFIG_FILE, claim_run

WORKER = "marketgpt_training.worker"
_POLL_S = 0.2


def launch(config: TrainConfig, folder: Path, *, processes: int, resume: bool = False) -> None:
    """Train with ``processes`` ranks; rank 0 writes and seals the folder.

    Args:
        config: The configuration.
        folder: The run's folder.
        processes: Ranks on this machine.
        resume: Go on from the folder's newest checkpoint; from the start where there is none.

    Raises:
        RunError: when a rank fails; what it said stands above on standard error.
    """
    config = with_symbols(config)
    claim_run(config, folder, resume=resume)
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    launcher = Path(sys.executable).with_name("deepspeed")
    if not launcher.exists():
        raise RunError(f"--processes needs the deepspeed launcher, which is not at {launcher}")
    command = [
        sys.executable, str(launcher), "--num_accelerators", str(processes),
        "--module", WORKER, *(["--resume"] if resume else []), str(folder.resolve()),
    ]  # fmt: skip
    with listening() as stop, subprocess.Popen(command) as running:  # noqa: S603 - our own interpreter
        status = _wait(running, stop)
    if status == EXIT_STATUS:
        raise TrainingInterrupted(f"stopped; see above: go on with --resume run_dir={folder}")
    if status:
        raise RunError(f"training failed: the deepspeed launcher ended with status {status}; see above")


def _wait(running: subprocess.Popen[bytes], stop: StopRequest) -> int:
    """Return the launcher's status; a request to stop is handed to the ranks, once."""
    told = False
    while True:
        try:
            return running.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if stop and not told:
                told = True
                _tell_ranks(stop)


def _tell_ranks(stop: StopRequest) -> None:
    """Send the signal to the ranks alone: DeepSpeed's launcher would die of it and take them along."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = process.cmdline()
            if WORKER in words and not any("deepspeed" in word for word in words):
                process.send_signal(signal.Signals[stop.signal_name])
