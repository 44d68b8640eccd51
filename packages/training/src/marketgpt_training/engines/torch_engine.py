"""One process, plain torch: the reference the DeepSpeed engine is compared with, and the way to train where
DeepSpeed does not run.
"""  # noqa: D205

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError
from marketgpt_training.base import Batch, TrainingEngine, weight_decay_groups
from marketgpt_training.config import OptimConfig
from marketgpt_training.weight_average import WeightAverage


class TorchEngine(TrainingEngine):
    """AdamW on one device."""

    class Config(BaseConfig):
        """Options of the plain engine."""

        device: Literal["auto", "cpu", "cuda"] = Field(
            default="auto", description="auto: cuda if there is one"
        )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        wanted = config.device
        if wanted == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                "engine option device='cuda', but torch finds no CUDA device; allowed here: cpu"
            )
        cuda = torch.cuda.is_available() and wanted != "cpu"
        self._device = torch.device("cuda" if cuda else "cpu")

    def prepare(self, module: nn.Module, optim: OptimConfig, *, batch_size: int) -> None:  # noqa: ARG002
        """See :class:`TrainingEngine`."""
        self._module = module.to(self._device)
        groups = weight_decay_groups(module, optim.weight_decay)
        self._optimizer = torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, fused=True)
        self._average = WeightAverage(self._module, optim.ema_decay)
        self._grad_clip = optim.grad_clip

    def train_step(self, batch: Batch, lr: float) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._module.train()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        losses: dict[str, Tensor] = self._module(to_device(batch, self._device))
        self._optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._grad_clip)
        self._optimizer.step()
        self._average.update()
        return {**floats(losses), "grad_norm": float(norm)}

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
