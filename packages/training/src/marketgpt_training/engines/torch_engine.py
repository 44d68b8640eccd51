"""One process, plain torch: the reference the DeepSpeed engine is compared with, and the way to train where
DeepSpeed does not run.
"""  # noqa: D205

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from marketgpt_core.config import Config as BaseConfig
from marketgpt_training.base import Batch, TrainingEngine, split_batch, weight_decay_groups
from marketgpt_training.config import OptimConfig
from marketgpt_training.engines import adam_state
from marketgpt_training.engines.devices import Device, usable_device
from marketgpt_training.weight_average import WeightAverage, trainable


class TorchEngine(TrainingEngine):
    """AdamW on one device."""

    resumable = True

    class Config(BaseConfig):
        """Options of the plain engine."""

        device: Device = Field(default="auto", description="auto: cuda if there is one")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._device = usable_device(config.device)

    def prepare(
        self, module: nn.Module, optim: OptimConfig, *, batch_size: int, micro_batch_size: int | None = None
    ) -> None:
        """See :class:`TrainingEngine`."""
        self._module = module.to(self._device)
        groups = weight_decay_groups(module, optim.weight_decay)
        self._optimizer = torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, fused=True)
        self._average = WeightAverage(trainable(self._module), optim.ema_decay)
        self._grad_clip = optim.grad_clip
        self._parts = batch_size // (micro_batch_size or batch_size)

    def train_step(self, batch: Batch, lr: float, *, most: float = math.inf) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._module.train()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad(set_to_none=True)
        parts = []
        for part in split_batch(to_device(batch, self._device), self._parts):
            losses: dict[str, Tensor] = self._module(part)
            (losses["loss"] / self._parts).backward()  # type: ignore[no-untyped-call]
            parts.append({name: value.detach() for name, value in losses.items()})
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._grad_clip)
        metrics = {**mean_of(parts), "grad_norm": float(norm)}
        if not (math.isfinite(metrics["loss"]) and metrics["loss"] <= most and math.isfinite(float(norm))):
            self._optimizer.zero_grad(set_to_none=True)
            return {**metrics, "spoiled": 1.0}
        self._optimizer.step()
        self._average.update()
        return metrics

    @torch.no_grad()
    def validate(self, batch: Batch) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._module.eval()
        with self._average.applied():
            return floats(self._module(to_device(batch, self._device)))

    def weights(self) -> dict[str, Tensor]:
        """See :class:`TrainingEngine`."""
        with self._average.applied():
            return cpu_copy(self._module)

    def state(self) -> dict[str, Tensor]:
        """See :class:`TrainingEngine`."""
        tensors = adam_state.scalars(self._optimizer, self._average)
        for name, parameter in self._module.named_parameters():
            whole = adam_state.whole(self._optimizer, parameter) | adam_state.averaged(self._average, name)
            tensors |= {f"{kind}/{name}": adam_state.on_cpu(value) for kind, value in whole.items()}
        return tensors

    def load_state(self, saved: Mapping[str, Tensor]) -> None:
        """See :class:`TrainingEngine`."""
        adam_state.load_whole(self._module, self._optimizer, saved)
        adam_state.load_average(self._average, saved)


def cpu_copy(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state on the CPU, in float32 where it is floating."""
    state = module.state_dict()
    return {
        name: value.detach().to("cpu", torch.float32 if value.is_floating_point() else None, copy=True)
        for name, value in state.items()
    }


def to_device(batch: Batch, device: torch.device | str) -> Batch:
    """Return the batch on a device."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def floats(losses: dict[str, Tensor]) -> dict[str, float]:
    """Return scalar tensors as numbers."""
    return {name: float(value.detach()) for name, value in losses.items()}


def mean_of(parts: list[dict[str, Tensor]]) -> dict[str, float]:
    """Return the means over micro-batches as numbers."""
    if len(parts) == 1:
        return floats(parts[0])
    return {name: float(torch.stack([part[name] for part in parts]).double().mean()) for name in parts[0]}
