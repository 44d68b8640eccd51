"""DeepSpeed: one process on a laptop, many ranks on a cluster, ZeRO 0 to 3."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from marketgpt_core.config import Config as BaseConfig
from marketgpt_training.base import EXACT, Batch, TrainingEngine, split_batch, weight_decay_groups
from marketgpt_training.config import OptimConfig
from marketgpt_training.engines.deepspeed_config import Offload, Precision, deepspeed_config
from marketgpt_training.engines.deepspeed_machine import check_precision, import_deepspeed, join_ranks
from marketgpt_training.engines.deepspeed_state import ZERO_3, DeepSpeedState, held_weights
from marketgpt_training.engines.devices import Device, usable_device
from marketgpt_training.engines.torch_engine import cpu_copy, floats, mean_of, to_device
from marketgpt_training.weight_average import WeightAverage


class DeepSpeedEngine(TrainingEngine):
    """Trains through ``deepspeed.initialize``.

    Under the ``deepspeed`` launcher or ``srun`` the ranks come from the environment; without one it is a
    single rank.

    Raises:
        ConfigError: when DeepSpeed is not installed (the message names the plain engine), or the machine
            has not what the options ask for.
        RunError: when the GPU fails or the other ranks are not found.
    """

    resumable = True

    class Config(BaseConfig):
        """Options of the DeepSpeed engine."""

        zero_stage: int = Field(default=0, ge=0, le=3, description="what is sharded over the ranks")
        precision: Precision = "fp32"
        device: Device = Field(default="auto", description="auto: cuda if there is one")
        offload_optimizer: Offload = Field(
            default="none", description="cpu: AdamW's weights and moments lie there; zero_stage 1 to 3"
        )
        offload_parameters: Offload = Field(
            default="none", description="cpu: weights lie there while no layer needs them; zero_stage 3"
        )

        @model_validator(mode="after")
        def _stage_can_offload(self) -> Self:
            for name, least in (("offload_optimizer", 1), ("offload_parameters", ZERO_3)):
                if getattr(self, name) != "none" and self.zero_stage < least:
                    stages = "3" if least == ZERO_3 else f"{least} to 3"
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is for zero_stage {stages}, not {self.zero_stage}; "
                        f"allowed at {self.zero_stage}: 'none'"
                    )
            return self

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._options = config
        device = usable_device(config.device, local_rank=int(os.environ.get("LOCAL_RANK", "0")))
        self._deepspeed = import_deepspeed(device.type)
        check_precision(config.precision)
        if not torch.distributed.is_initialized():
            join_ranks(self._deepspeed, device)

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
            offload_optimizer=self._options.offload_optimizer,
            offload_parameters=self._options.offload_parameters,
        )
        self._parts = settings["gradient_accumulation_steps"]
        self._stage = settings["zero_optimization"]["stage"]
        constants = {name: one.clone() for name, one in module.named_buffers()}
        self._engine, *_ = self._deepspeed.initialize(
            model=module,
            model_parameters=weight_decay_groups(module, optim.weight_decay),
            config=settings,
        )
        if self.world_size == 1 and not self._stage:
            # Else gradients are copied together to be summed with nobody's: 1 to 2% of a step.
            self._engine.enable_backward_allreduce = False
        for name, one in module.named_buffers():
            # DeepSpeed rounds them to the weights' precision: edges of bins would move.
            one.data = constants[name].to(one.device)
        self._average = WeightAverage(
            held_weights(self._engine.module, self._stage), optim.ema_decay, on_put=self._forget_gathered
        )
        self._state = DeepSpeedState(self._engine, self._average, self._stage)
        self._grad_clip = optim.grad_clip
        self._scaler = self._state.scaler
        if self._scaler is not None:
            # At its end the scale says nothing of the gradient any more: that is a batch to be left out.
            self._scaler.raise_error_at_min_scale = False

    def train_step(self, batch: Batch, lr: float, *, most: float = math.inf) -> dict[str, float]:
        """See :class:`TrainingEngine`."""
        self._engine.train()
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        parts: list[dict[str, Tensor]] = []
        first: Batch | None = None
        scale = self._scaler.cur_scale if self._scaler is not None else None
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
            norm = self._clipped() if not self._stage and len(parts) == self._parts else math.nan
            self._engine.step()
        is_applied = self._engine.was_step_applied()
        if self._stage and is_applied:
            norm = float(self._engine.get_global_grad_norm())
        metrics = {**mean_of(parts), "grad_norm": norm}
        if scale is not None:
            metrics["loss_scale"] = scale
        if not (is_applied and math.isfinite(norm)):
            return {**metrics, "grad_norm": math.nan, self._reason(scale): 1.0}
        self._average.update()
        return metrics

    def _clipped(self) -> float:
        """Clip gradients that lie with their parameters, and return the norm they had.

        One that is not finite is taken away: AdamW then steps nothing, as ZeRO's optimizers do by themselves.
        """
        norm = float(nn.utils.clip_grad_norm_(self._engine.module.parameters(), self._grad_clip))
        if not math.isfinite(norm):
            self._engine.module.zero_grad(set_to_none=True)
        return norm

    def _reason(self, scale: float | None) -> str:
        """Return why no step was done: a loss scaled too high is none to blame the batch for."""
        return "skipped" if scale is not None and scale > self._scaler.min_scale else "spoiled"

    def _is_spoiled(self, loss: Tensor, most: float) -> bool:
        """Return whether any rank's loss is not finite or, on average, too high."""
        local = float(loss.detach())
        mean = self.mean([local])[0]  # NaN and infinity of one rank are everybody's
        return not (math.isfinite(mean) and mean <= most)

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
        dtype = torch.bfloat16 if self._options.precision == "bf16" else torch.float16
        return {
            name: tensor.to(dtype) if tensor.is_floating_point() and name not in EXACT else tensor
            for name, tensor in placed.items()
        }

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
            self._state.forget_gathered()

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
        if self.world_size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self._engine.device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor / self.world_size]

    def close(self) -> None:
        """See :class:`TrainingEngine`."""
        if hasattr(self, "_engine"):
            self._engine.destroy()
