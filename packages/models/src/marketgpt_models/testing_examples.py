"""Specifications and batches to test a model variant with.

Legend: B batch, T time, K channels, F continuous inputs, C calendar fields, H horizons, J tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_models.base import InputSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

EXAMPLE_HORIZONS = (1, 5)


def example_spec(horizons: tuple[int, ...] = EXAMPLE_HORIZONS) -> InputSpec:
    """Return a small one: four channels, seven continuous inputs, five calendar fields, two tasks."""
    import numpy as np

    from marketgpt_models.calendar import CALENDAR_SIZES
    from marketgpt_models.horizon_bins import HorizonBins

    z = np.random.default_rng(0).standard_normal((2_000, len(horizons)))
    return InputSpec(
        vocab_sizes=(11, 13, 7, 5),
        num_continuous=7,
        calendar_sizes=CALENDAR_SIZES,
        horizons=horizons,
        horizon_bins=HorizonBins.fit(z, horizons).to_json() if horizons else {},
        assets=("AAA", "BBB", "CCC"),
        categories=("us", "crypto"),
        task_names=("direction", "volatility"),
        task_sizes=(3, 5),
    )


def example_batch(spec: InputSpec, *, size: int = 4, length: int = 12, seed: int = 0) -> dict[str, Tensor]:
    """Return random windows for a specification; every target counts."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def ids(sizes: tuple[int, ...], rows: int) -> Tensor:
        columns = [torch.randint(0, one, (size, rows), generator=generator) for one in sizes]
        return torch.stack(columns, dim=-1)

    tokens = ids(spec.vocab_sizes, length + 1)
    return {
        "tokens": tokens[:, :-1].contiguous(),
        "targets": tokens[:, 1:].contiguous(),
        "continuous": torch.randn(size, length, spec.num_continuous, generator=generator),
        "calendar": ids(spec.calendar_sizes, length),
        "asset": torch.randint(0, len(spec.assets) + 1, (size,), generator=generator),
        "category": torch.randint(0, len(spec.categories) + 1, (size,), generator=generator),
        "mask": torch.ones(size, length, dtype=torch.bool),
        "tasks": _tasks(spec, (size, length, len(spec.horizons)), generator),
        "horizon_z": torch.randn(size, length, len(spec.horizons), generator=generator),
    }


def _tasks(spec: InputSpec, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    import torch

    columns = [torch.randint(-1, size, shape, generator=generator) for size in spec.task_sizes]
    return torch.stack(columns, dim=-1) if columns else torch.zeros(*shape, 0, dtype=torch.int64)


def example_history(batch: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """Return the first rows of a batch as a decoder's ``begin`` takes them, without padding."""
    inputs = {name: batch[name][:, :length] for name in ("tokens", "continuous", "calendar")}
    return inputs | {
        "valid": batch["mask"][:, :length],
        "asset": batch["asset"],
        "category": batch["category"],
    }
