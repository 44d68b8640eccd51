"""Several processes on this machine through the ``deepspeed`` launcher."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from marketgpt_core.config import to_toml
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_text
from marketgpt_training.config import TrainConfig
from marketgpt_training.interruption import EXIT_STATUS, TrainingInterrupted
from marketgpt_training.resume import CONFIG_FILE, claim_run


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
    from marketgpt_training.pipeline import with_symbols

    config = with_symbols(config)
    claim_run(config, folder, resume=resume)
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    launcher = Path(sys.executable).with_name("deepspeed")
    if not launcher.exists():
        raise RunError(f"--processes needs the deepspeed launcher, which is not at {launcher}")
    command = [
        sys.executable, str(launcher), "--num_accelerators", str(processes),
        "--module", "marketgpt_training.worker", *(["--resume"] if resume else []), str(folder.resolve()),
    ]  # fmt: skip
    done = subprocess.run(command, check=False)  # noqa: S603 - our own interpreter and launcher
    if done.returncode == EXIT_STATUS:
        raise TrainingInterrupted(f"stopped; see above: go on with --resume run_dir={folder}")
    if done.returncode:
        raise RunError(
            f"training failed: the deepspeed launcher ended with status {done.returncode}; see above"
        )
