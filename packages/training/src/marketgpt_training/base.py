"""The contract of a training engine: whatever turns batches into optimizer steps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_training.config import OptimConfig

Batch = dict[str, "Tensor"]
# What holds no window: the same for every part of a batch.
SHARED = ("target_counts",)
# Numbers that are no inputs of a network: float32 whatever it computes in.
EXACT = (*SHARED, "horizon_z")


class TrainingEngine(ABC):
    """Owns the model, the optimizer and the processes that train together.

    The loop decides what is trained on and when to stop; the engine decides how a step is computed. Every
    rank calls every method in the same order.
    """

    Config: ClassVar[type[BaseConfig]] = BaseConfig
    #: Whether it has ``state`` and ``load_state``; without them nothing is kept of a training cut short.
    resumable: ClassVar[bool] = False

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def prepare(
        self, module: nn.Module, optim: OptimConfig, *, batch_size: int, micro_batch_size: int | None = None
    ) -> None:
        """Take the module and make the optimizer; called once, before any step.

        Args:
            module: Its ``forward(batch)`` returns ``{"loss": scalar, ...}``.
            optim: Optimizer settings.
            batch_size: Windows of one rank's batch.
            micro_batch_size: Windows put through the module at once, a divisor of it; None: all. Gradients
                of the parts are averaged before the one optimizer step.
        """

    @abstractmethod
    def train_step(self, batch: Batch, lr: float, *, most: float = math.inf) -> dict[str, float]:
        """Do one optimizer step and return this rank's metrics: ``loss``, ``nll``, ``grad_norm``, ...

        A loss that is not finite, or above ``most``, is not learned from: where the engine sees it on any
        rank before a weight has changed, it leaves all as it was and adds ``spoiled: 1.0`` on every rank.
        Where it sees it too late it returns the metrics as they are, and the loop goes back to the last
        checkpoint. Where a loss was scaled too high for half precision, nothing has changed but the scale:
        the metrics hold ``skipped: 1.0`` and ``loss_scale`` on every rank, and training goes on.

        Args:
            batch: This rank's part of the global batch.
            lr: Learning rate of this step.
            most: The highest loss that is learned from.
        """

    @abstractmethod
    def validate(self, batch: Batch) -> dict[str, float]:
        """Return the metrics of one batch without dropout, gradients or a step."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the full current weights on the CPU, by state-dict name."""

    def state(self) -> dict[str, Tensor]:
        """Return this rank's part of everything the next step depends on, as copies on the CPU.

        Tensors are whole and named after the model's parameters, each of them in one rank's part, so that
        any engine on any number of ranks can go on from them.

        Raises:
            ConfigError: when the engine cannot be resumed.
        """
        raise ConfigError(f"{type(self).__name__} keeps no checkpoints: it has no state()")

    def load_state(self, saved: Mapping[str, Tensor]) -> None:  # noqa: ARG002 - for engines that have one
        """Go on from what all ranks' :meth:`state` held together.

        Args:
            saved: Tensors by name, read from the disk when asked for.

        Raises:
            ConfigError: when the engine cannot be resumed.
        """
        raise ConfigError(f"{type(self).__name__} keeps no checkpoints: it has no load_state()")

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


def split_batch(batch: Batch, parts: int) -> Iterator[Batch]:
    """Yield a batch in parts of as many windows each (of one fewer where it cannot be divided)."""
    if parts == 1:
        yield batch
        return
    cut = {name: tensor.tensor_split(parts) for name, tensor in batch.items() if name not in SHARED}
    kept = {name: batch[name] for name in SHARED if name in batch}
    for number in range(parts):
        yield {name: pieces[number] for name, pieces in cut.items()} | kept


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
