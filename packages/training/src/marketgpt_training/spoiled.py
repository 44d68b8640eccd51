"""Batches that were not learned from, kept to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from marketgpt_core.files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "spoiled"


def save_batch(run: Path, batch: Mapping[str, Tensor], *, epoch: int, number: int, rank: int) -> Path:
    """Write a rank's batch as safetensors and return the file."""
    from safetensors.torch import save_file

    path = run / FOLDER / f"epoch-{epoch:04d}-batch-{number:06d}-rank-{rank:05d}.safetensors"
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in batch.items()}, temporary)
    return path
