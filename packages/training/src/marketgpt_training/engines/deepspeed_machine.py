"""DeepSpeed on this machine: its import, the numbers its device computes with, the other ranks."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import warnings
from typing import Any

import torch

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_training.engines.deepspeed_config import Precision
from marketgpt_training.ports import free_port


def import_deepspeed(device: str | None = None) -> Any:  # noqa: ANN401 - deepspeed is untyped
    """Import DeepSpeed quietly.

    Args:
        device: What it computes on, ``cpu`` or ``cuda``; the first import in a process decides.

    Raises:
        ConfigError: when it is not installed or does not import.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    os.environ.setdefault("DS_ACCELERATOR", device)
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Deprecations inside DeepSpeed and what it imports are not the user's business.
            warnings.simplefilter("ignore")
            import deepspeed
    except ImportError as error:
        raise ConfigError(
            f"engine 'deepspeed' cannot be used: {error}; use engine.name=torch or install deepspeed (Linux)"
        ) from error
    for name in ("DeepSpeed", "deepspeed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return deepspeed


def check_precision(precision: Precision) -> None:
    """Make sure the device computes in a precision.

    Raises:
        ConfigError: when it does not; the message names those it has.
    """
    from deepspeed.accelerator import get_accelerator

    accelerator = get_accelerator()
    has = {
        "fp32": True,
        "bf16": bool(accelerator.is_bf16_supported()),
        "fp16": bool(accelerator.is_fp16_supported()),
    }
    if not has[precision]:
        allowed = ", ".join(name for name, there in has.items() if there)
        raise ConfigError(
            f"engine option precision={precision!r}: this {accelerator.device_name()} does not compute in it"
            f"; allowed here: {allowed}"
        )


def join_ranks(deepspeed: Any, device: torch.device) -> None:  # noqa: ANN401 - deepspeed is untyped
    """Join the process group the environment tells of; alone where it tells of none.

    Raises:
        ConfigError: when torch lacks the library that ranks talk through.
        RunError: when the other ranks are not found.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    _check_backend(backend)
    single = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if single:
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        for name, value in alone.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("MASTER_PORT", str(free_port()))
    # DeepSpeed's launcher says how many ranks are on this machine, srun does not.
    side_by_side = os.environ.get("LOCAL_SIZE") == os.environ["WORLD_SIZE"]
    if single or not (side_by_side and shutil.which("g++") and shutil.which("ninja")):
        # The shared-memory all-reduce is compiled at first use (45 s, needs g++ and ninja). One rank has
        # nobody to reduce with, ranks of several machines share no memory, and ranks without a compiler do as
        # well through gloo.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    try:
        deepspeed.init_distributed(dist_backend=backend, verbose=False)
    except RuntimeError as error:  # torch's DistError, DistNetworkError and DistStoreError are
        rank, world, address, port = (
            os.environ.get(name, "?") for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        )
        said = str(error).strip().splitlines()[0]
        raise RunError(
            f"rank {rank} of {world} cannot join the others at {address}:{port}: {said}"
        ) from error
    # DeepSpeed keeps handles to its groups for as long as the process lives, so that is how long they live.
    atexit.register(_leave)


def _check_backend(backend: str) -> None:
    is_there = (
        torch.distributed.is_available()
        and {
            "nccl": torch.distributed.is_nccl_available,
            "gloo": torch.distributed.is_gloo_available,
        }[backend]()
    )
    if not is_there:
        raise ConfigError(
            f"this torch ({torch.__version__}) is built without {backend}, through which DeepSpeed's "
            "processes talk: install a torch with it, or use engine.name=torch"
        )


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
