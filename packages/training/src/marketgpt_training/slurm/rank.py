"""One rank: what ``srun`` starts for each task. Which one it is, Slurm says."""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from marketgpt_core.errors import MarketGPTError, RunError
from marketgpt_training.interruption import EXIT_STATUS, TrainingInterrupted, hear_nothing, leaving_at_once

# srun ends with the highest status of its tasks, and ends the others when one fails: those it stopped say 75.
FAILED = 120
_NAMES = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS"}


def rank_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what DeepSpeed reads, from what Slurm says of a task."""
    said = {name: environment[theirs] for name, theirs in _NAMES.items()}
    gpus = environment.get("CUDA_VISIBLE_DEVICES")
    if gpus and "," not in gpus:
        # One GPU a task by --gpu-bind or --gpus-per-task: it is number 0 to whoever sees no other.
        said["LOCAL_RANK"] = "0"
    return said


def main(arguments: list[str]) -> None:
    """Train as one rank; the last argument is the run's folder."""
    from marketgpt_training import worker
    from marketgpt_training.resume import CONFIG_FILE

    folder, rank = Path(arguments[-1]), os.environ["SLURM_PROCID"]
    os.environ.update(rank_environment(os.environ))
    if not (folder / CONFIG_FILE).is_file():
        raise RunError(
            f"rank {rank} on {socket.gethostname()} does not see {folder / CONFIG_FILE}: run_dir must be on "
            "a file system that all nodes of the job share"
        )
    try:
        worker.main(arguments)
    except TrainingInterrupted:
        # srun ends all tasks when one ends with a status: together, after the first rank has said its last.
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        raise


def end() -> None:
    """Train and end this process with a status by which stops and failures are told apart."""
    leaving_at_once()
    status = 0
    try:
        main(sys.argv[1:])
    except TrainingInterrupted as stopped:
        status = EXIT_STATUS
        if os.environ["RANK"] == "0":
            sys.stderr.write(f"{stopped}\n")
    except MarketGPTError as error:
        status = FAILED
        sys.stderr.write(f"error: {error}\n")
    except Exception:  # noqa: BLE001 - a defect keeps its traceback
        status = FAILED
        traceback.print_exc()
    hear_nothing()
    sys.exit(status)


if __name__ == "__main__":
    end()
