"""A DeepSpeed engine's state as whole tensors, and back, whatever ZeRO made of it.

DeepSpeed's own checkpoints are pickled and bound to their number of ranks; these are neither. From stage 1
on a rank holds slices: they are put together a parameter at a time, by all ranks, and copied by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from marketgpt_training.engines import adam_state
from marketgpt_training.weight_average import WeightAverage, trainable

ZERO_3 = 3
# What a dynamic loss scale knows, in DeepSpeed's names.
_SCALER = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")


class DeepSpeedState:
    """Saves and loads an engine.

    Args:
        engine: Of ``deepspeed.initialize``.
        average: Of its module.
        stage: ZeRO's, 0 to 3.
    """

    def __init__(self, engine: Any, average: WeightAverage, stage: int) -> None:  # noqa: ANN401 - deepspeed is untyped
        self._engine, self._average, self._stage = engine, average, stage
        if stage:
            self._make_moments()

    @property
    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return list(self._engine.module.named_parameters())

    @property
    def _adam(self) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = self._engine.basic_optimizer
        return optimizer

    @property
    def scaler(self) -> Any:  # noqa: ANN401 - see above
        """What scales the loss in fp16, and finds the scale itself; None elsewhere."""
        scaler = getattr(self._engine.optimizer, "loss_scaler", None)
        return scaler if getattr(scaler, "dynamic", False) else None

    def save(self, rank: int, world_size: int) -> dict[str, Tensor]:
        """Return a rank's part; see :meth:`marketgpt_training.base.TrainingEngine.state`."""
        tensors: dict[str, Tensor] = {}
        if rank == 0:
            tensors = adam_state.scalars(self._adam, self._average)
            if self.scaler is not None:
                known = {name: getattr(self.scaler, name) for name in _SCALER}
                tensors |= {f"loss_scale/{name}": torch.tensor(float(one)) for name, one in known.items()}
        for number, (name, parameter) in enumerate(self._named):
            whole = self._whole(parameter) | self._whole_average(name, parameter)  # all ranks take part
            if number % world_size == rank:  # ranks take turns to write
                tensors |= {f"{kind}/{name}": adam_state.on_cpu(value) for kind, value in whole.items()}
        return tensors

    def _whole(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        if not self._stage:
            return adam_state.whole(self._adam, parameter)
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        return {
            "weight": safe_get_full_fp32_param(parameter),
            **{one: safe_get_full_optimizer_state(parameter, one) for one in adam_state.MOMENTS},
        }

    def _whole_average(self, name: str, parameter: Any) -> dict[str, Tensor]:  # noqa: ANN401 - see above
        held = adam_state.averaged(self._average, name)
        if self._stage == ZERO_3:
            return {kind: whole_of(slices, parameter, self._engine.device) for kind, slices in held.items()}
        return held

    @torch.no_grad()
    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint; see :meth:`marketgpt_training.base.TrainingEngine.load_state`."""
        if self._stage:
            self._load_slices(saved)
        else:
            adam_state.load_whole(self._engine.module, self._adam, saved)
        # Begun in another precision, a run finds its scale anew.
        for name in _SCALER if self.scaler is not None else ():
            if (key := f"loss_scale/{name}") in saved:
                setattr(self.scaler, name, type(getattr(self.scaler, name))(saved[key].item()))
        parameters: dict[str, Any] = dict(self._named)
        if self._stage == ZERO_3:
            adam_state.load_average(
                self._average, saved, held=lambda name, whole: slice_of(whole, parameters[name])
            )
        else:
            adam_state.load_average(self._average, saved)

    def _load_slices(self, saved: Mapping[str, Tensor]) -> None:
        for name, parameter in self._named:
            weight = saved[f"weight/{name}"]
            moments = {
                moment: saved.get(f"{moment}/{name}", torch.zeros_like(weight))
                for moment in adam_state.MOMENTS
            }
            if self._stage == ZERO_3:
                _set_slices(parameter, weight, moments)
            else:
                _set_whole(parameter, weight.to(parameter.device), moments)
        if self._stage == ZERO_3:
            self.forget_gathered()
        step = adam_state.saved_step(saved)
        for weight, state in self._adam.state.items():
            state["step"] = adam_state.step_tensor(step, weight)

    def forget_gathered(self) -> None:
        """Have whole parameters put together anew from the ranks' slices, which were changed."""
        # The engine's own method of the name collects garbage, too: half a second each.
        self._engine.optimizer.empty_partition_cache()

    def _make_moments(self) -> None:
        """Have AdamW's moments made before the first step, which is when it would make them itself.

        DeepSpeed links parameters to their moments once, after the first group of parameters was stepped:
        those of the other groups would not be there yet and never be found.
        """
        zero = self._engine.optimizer
        flat = (
            zero.fp32_partitioned_groups_flat
            if self._stage == ZERO_3
            else [one for group in self._adam.param_groups for one in group["params"]]
        )
        for slices in flat:
            moments = {moment: torch.zeros_like(slices) for moment in adam_state.MOMENTS}
            self._adam.state[slices] = {"step": adam_state.step_tensor(0, slices), **moments}
        if self._stage < ZERO_3:
            # There is no public name for it: parameters learn where their moments lie.
            zero._lazy_init_hp_params_optimizer_state()  # noqa: SLF001


def held_weights(module: nn.Module, stage: int) -> dict[str, Tensor]:
    """Return the trained weights a rank holds, by name: whole below ZeRO 3, there a slice of each."""
    named: dict[str, Any] = trainable(module)
    return {name: one.ds_tensor for name, one in named.items()} if stage == ZERO_3 else named


def whole_of(held: Tensor, parameter: Any, device: torch.device) -> Tensor:  # noqa: ANN401 - DeepSpeed adds to it
    """Return a parameter-shaped tensor from every rank's slice of it; all ranks take part."""
    mine = held.to(device)
    whole = mine.new_empty(torch.distributed.get_world_size() * mine.numel())
    torch.distributed.all_gather_into_tensor(whole, mine)
    return whole[: parameter.ds_numel].view(parameter.ds_shape)


def slice_of(whole: Tensor, parameter: Any) -> Tensor:  # noqa: ANN401 - DeepSpeed adds to it
    """Return this rank's slice of a parameter-shaped tensor; what is past its end is zero."""
    size = parameter.ds_tensor.ds_numel
    mine = whole.new_zeros(size)
    first = torch.distributed.get_rank() * size
    piece = whole.flatten()[first : first + size]
    mine[: piece.numel()] = piece
    return mine


def _set_whole(parameter: Any, weight: Tensor, moments: Mapping[str, Tensor]) -> None:  # noqa: ANN401 - see above
    """Set a parameter of ZeRO 1 or 2 and what the optimizer has of it in slices."""
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    parameter.data.copy_(weight)
    safe_set_full_fp32_param(parameter, weight)
    for moment, value in moments.items():
        safe_set_full_optimizer_state(parameter, value.to(weight.device), moment)


def _set_slices(parameter: Any, weight: Tensor, moments: Mapping[str, Tensor]) -> None:  # noqa: ANN401 - see above
    """Set this rank's slices of a parameter of ZeRO 3.

    DeepSpeed's setters of whole parameters fail where ranks do not divide a parameter's size.
    """
    from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

    mine = slice_of(weight, parameter)
    parameter.ds_tensor.copy_(mine)
    safe_set_local_fp32_param(parameter, mine)
    for moment, value in moments.items():
        safe_set_local_optimizer_state(parameter, slice_of(value, parameter), moment)
