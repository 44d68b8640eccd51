"""DeepSpeed: one process on a laptop, many ranks on a cluster, ZeRO 0 to 3."""

from __future__ import annotations

import atexit
import logging
import math
import os
import shutil
import socket
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError
from marketgpt_training.base import Batch, TrainingEngine, split_batch, weight_decay_groups
from marketgpt_training.config import OptimConfig
from marketgpt_training.engines.deepspeed_config import deepspeed_config
from marketgpt_training.engines.deepspeed_state import ZERO_3, DeepSpeedState, held_weights
from marketgpt_training.engines.torch_engine import cpu_copy, floats, mean_of, to_device
from marketgpt_training.weight_average import WeightAverage


class DeepSpeedEngine(TrainingEngine):
    """Trains through ``deepspeed.initialize``.

    Under the ``deepspeed`` launcher or ``srun`` the ranks come from the environment; without one it is a
    single rank.

    Raises:
        ConfigError: when DeepSpeed is not installed; the message names the plain engine.
    """

    resumable = True

    class Config(BaseConfig):
        """Options of the DeepSpeed engine."""

        zero_stage: int = Field(default=0, ge=0, le=3, description="what is sharded over the ranks")
        precision: Literal["fp32", "bf16"] = "fp32"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._options = config
        self._deepspeed = import_deepspeed()
        if not torch.distributed.is_initialized():
            _join(self._deepspeed)

    def prepare(
        self, module: nn.Module, optim: OptimConfig, *, batch_size: int, micro_batch_size: int | None = None
    ) -> None:
        """See :class:`TrainingEngine`."""
        settings = deepspeed_config(
            optim,
            batch_size=batch_size,
            world_size=self.world_size,
            zero_stage=self._options.zero_stage,
            precision=self._options.precision,
            micro_batch_size=micro_batch_size,
        )
        self._parts = settings["gradient_accumulation_steps"]
        self._stage = settings["zero_optimization"]["stage"]
        self._engine, *_ = self._deepspeed.initialize(
            model=module,
            model_parameters=weight_decay_groups(module, optim.weight_decay),
            config=settings,
        )
        self._average = WeightAverage(
            held_weights(self._engine.module, self._stage), optim.ema_decay, on_put=self._forget_gathered
        )
        self._state = DeepSpeedState(self._engine, self._average, self._stage)

    def train_step(self, batch: Batch, lr: float, *, most: float = math.inf) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._engine.train()
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        parts: list[dict[str, Tensor]] = []
        norm: Tensor | None = None
        first: Batch | None = None
        for part in split_batch(self._placed(batch), self._parts):
            losses: dict[str, Tensor] = self._engine(part)
            parts.append({name: value.detach() for name, value in losses.items()})
            if self._is_spoiled(losses["loss"], most):
                if first is None:
                    return {**mean_of(parts), "grad_norm": math.nan, "spoiled": 1.0}
                # Gradients of earlier parts are in DeepSpeed's hands: the step is ended without this part,
                # and the loop, told the loss, goes back to the last checkpoint.
                losses = self._engine(first)
            first = first or part
            self._engine.backward(losses["loss"])
            norm = self._plain_norm()
            self._engine.step()
        self._average.update()
        if norm is None:
            norm = self._engine.get_global_grad_norm()
        return {**mean_of(parts), "grad_norm": float(norm)}

    def _is_spoiled(self, loss: Tensor, most: float) -> bool:
        """Return whether any rank's loss is not finite or, on average, too high."""
        local = float(loss.detach())
        mean = self.mean([local])[0]  # NaN and infinity of one rank are everybody's
        return not (math.isfinite(mean) and mean <= most)

    def _plain_norm(self) -> Tensor | None:
        """Return the norm where DeepSpeed keeps none: without ZeRO and in fp32, gradients are plain ones."""
        if self._stage:
            return None
        gradients = [p.grad for p in self._engine.module.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    @torch.no_grad()
    def validate(self, batch: Batch) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._engine.eval()
        with self._average.applied():
            return floats(self._engine(self._placed(batch)))

    def _placed(self, batch: Batch) -> Batch:
        placed = to_device(batch, self._engine.device)
        if self._options.precision == "fp32":
            return placed
        return {k: v.bfloat16() if v.is_floating_point() else v for k, v in placed.items()}

    def weights(self) -> dict[str, Tensor]:
        """See :class:`TrainingEngine`."""
        # Under ZeRO 3 each rank holds a slice of every parameter; below that this gathers nothing.
        sharded = self._stage == ZERO_3
        parameters = list(self._engine.module.parameters()) if sharded else []
        gathered = self._deepspeed.zero.GatheredParameters(parameters, enabled=sharded)
        with self._average.applied(), gathered:
            return cpu_copy(self._engine.module)

    def _forget_gathered(self) -> None:
        if self._stage == ZERO_3:
            self._engine.empty_partition_cache()

    def state(self) -> dict[str, Tensor]:
        """See :class:`TrainingEngine`."""
        return self._state.save(self.rank, self.world_size)

    def load_state(self, saved: Mapping[str, Tensor]) -> None:
        """See :class:`TrainingEngine`."""
        self._state.load(saved)

    @property
    def rank(self) -> int:
        """See :class:`TrainingEngine`."""
        return int(torch.distributed.get_rank())

    @property
    def world_size(self) -> int:
        """See :class:`TrainingEngine`."""
        return int(torch.distributed.get_world_size())

    def mean(self, values: list[float]) -> list[float]:
        """See :class:`TrainingEngine`."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self._engine.device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor / self.world_size]

    def close(self) -> None:
        """See :class:`TrainingEngine`."""
        if hasattr(self, "_engine"):
            self._engine.destroy()


def import_deepspeed() -> Any:  # noqa: ANN401 - deepspeed is untyped
    """Import DeepSpeed quietly.

    Raises:
        ConfigError: when it is not installed or does not import.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
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


def _join(deepspeed: Any) -> None:  # noqa: ANN401 - deepspeed is untyped
    single = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if single:
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        for name, value in alone.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("MASTER_PORT", str(_free_port()))
    if single or not (shutil.which("g++") and shutil.which("ninja")):
        # The shared-memory all-reduce is compiled at first use (45 s, needs g++ and ninja). One rank has
        # nobody to reduce with, and ranks without a compiler do as well through gloo.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    deepspeed.init_distributed(dist_backend=backend, verbose=False)
    # DeepSpeed keeps handles to its groups for as long as the process lives, so that is how long they live.
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
