"""Several processes on this machine through the ``deepspeed`` launcher."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from marketgpt_core.config import to_toml
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_text
from marketgpt_core.run import claim_folder
from marketgpt_training.config import TrainConfig

CONFIG_FILE = "config.toml"


def launch(config: TrainConfig, folder: Path, *, processes: int) -> None:
    """Train with ``processes`` ranks; rank 0 writes and seals the folder.

    Raises:
        RunError: when a rank fails; what it said stands above on standard error.
    """
    claim_folder(folder)
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    launcher = Path(sys.executable).with_name("deepspeed")
    if not launcher.exists():
        raise RunError(f"--processes needs the deepspeed launcher, which is not at {launcher}")
    command = [
        sys.executable, str(launcher), "--num_accelerators", str(processes),
        "--module", "marketgpt_training.worker", str(folder.resolve()),
    ]  # fmt: skip
    done = subprocess.run(command, check=False)  # noqa: S603 - our own interpreter and launcher
    if done.returncode:
        raise RunError(
            f"training failed: the deepspeed launcher ended with status {done.returncode}; see above"
        )
