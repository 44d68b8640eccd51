"""The contract of a training engine: whatever turns batches into optimizer steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.config import Config as BaseConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_training.config import OptimConfig

Batch = dict[str, "Tensor"]


class TrainingEngine(ABC):
    """Owns the model, the optimizer and the processes that train together.

    The loop decides what is trained on and when to stop; the engine decides how a step is computed. Every
    rank calls every method in the same order.
    """

    Config: ClassVar[type[BaseConfig]] = BaseConfig

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def prepare(self, module: nn.Module, optim: OptimConfig, *, batch_size: int) -> None:
        """Take the module and make the optimizer; called once, before any step.

        Args:
            module: Its ``forward(batch)`` returns ``{"loss": scalar, ...}``.
            optim: Optimizer settings.
            batch_size: Windows of one rank's batch.
        """

    @abstractmethod
    def train_step(self, batch: Batch, lr: float) -> dict[str, float]:
        """Do one optimizer step and return this rank's metrics: ``loss``, ``nll``, ``grad_norm``, ...

        Args:
            batch: This rank's part of the global batch.
            lr: Learning rate of this step.
        """

    @abstractmethod
    def validate(self, batch: Batch) -> dict[str, float]:
        """Return the metrics of one batch without dropout, gradients or a step."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the full current weights on the CPU, by state-dict name."""

    @property
    def rank(self) -> int:
        """This process among those that train together, from 0."""
        return 0

    @property
    def world_size(self) -> int:
        """Processes that train together."""
        return 1

    def mean(self, values: list[float]) -> list[float]:
        """Return the means over all ranks."""
        return values

    def close(self) -> None:  # noqa: B027 - most engines have nothing to leave
        """Leave the process group, if there is one."""


def weight_decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split parameters: matrices decay, gains and biases do not (Loshchilov and Hutter 2019 leave it open;
    decaying a normalisation's gain only fights the normalisation).
    """  # noqa: D205
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim >= 2]  # noqa: PLR2004
    others = [p for p in module.parameters() if p.requires_grad and p.ndim < 2]  # noqa: PLR2004
    groups: list[dict[str, object]] = [{"params": matrices, "weight_decay": weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    return groups
