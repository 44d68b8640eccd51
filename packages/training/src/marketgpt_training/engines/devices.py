"""The device a process trains on, tried before the time is spent."""

from __future__ import annotations

import os
from typing import Literal

import torch

from marketgpt_core.errors import ConfigError, RunError

Device = Literal["auto", "cpu", "cuda"]


def usable_device(wanted: Device, *, local_rank: int = 0) -> torch.device:
    """Return the device of a process.

    Args:
        wanted: ``auto`` is cuda where torch finds one.
        local_rank: Among the processes of this machine, each of which has a GPU of its own.

    Raises:
        ConfigError: when there is none of the kind, or too few for the processes.
        RunError: when the GPU is there and fails.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = f"torch {torch.__version__} is built for {_cuda_of_torch()}"
        raise ConfigError(
            f"engine option device='cuda', but torch finds no CUDA device ({built}, "
            f"CUDA_VISIBLE_DEVICES {_visible()}); allowed here: cpu"
        )
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigError(
            f"process {local_rank + 1} of this machine has no GPU of its own: {count} found "
            f"(CUDA_VISIBLE_DEVICES {_visible()}); start at most {count} processes a machine"
        )
    device = torch.device("cuda", local_rank)
    try:
        torch.ones(8, device=device).sum().item()
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0]
        raise RunError(
            f"GPU {local_rank} ({torch.cuda.get_device_name(local_rank)}) fails at its first sum: {said}; "
            "look at nvidia-smi, take another node, or set engine.options.device=cpu"
        ) from error
    return device


def _visible() -> str:
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "not set" if value is None else repr(value)


def _cuda_of_torch() -> str:
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs alone"
