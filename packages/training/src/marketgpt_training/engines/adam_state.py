"""What AdamW knows beside the weights, by the names of a model's parameters.

Names in a checkpoint: ``weight/NAME``, ``exp_avg/NAME``, ``exp_avg_sq/NAME``, ``average/NAME`` (of the
weights' moving average), ``optimizer/step`` and ``average_steps``; all tensors whole, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from marketgpt_training.weight_average import WeightAverage

MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP, _AVERAGE, _AVERAGE_STEPS = "optimizer/step", "average", "average_steps"


def on_cpu(tensor: Tensor) -> Tensor:
    """Return a copy in main memory that training does not change, in float32."""
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()


def step_of(optimizer: torch.optim.Optimizer) -> int:
    """Return the steps AdamW has done, 0 before the first."""
    return next((int(one["step"]) for one in optimizer.state.values() if "step" in one), 0)


def step_tensor(step: int, weight: Tensor) -> Tensor:
    """Return what fused AdamW counts a weight's steps with: a tensor beside it."""
    return torch.tensor(float(step), device=weight.device)


def whole(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """Return a parameter the optimizer holds itself and, after the first step, its moments, by kind."""
    state = optimizer.state.get(parameter, {})
    return {"weight": parameter.data, **{moment: state[moment] for moment in MOMENTS if moment in state}}


@torch.no_grad()
def load_whole(module: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Give parameters the optimizer holds themselves, not in slices, their values and moments back."""
    for name, parameter in module.named_parameters():
        parameter.copy_(saved[f"weight/{name}"])
        if f"{MOMENTS[0]}/{name}" not in saved:
            optimizer.state.pop(parameter, None)
            continue
        optimizer.state[parameter] = {
            "step": step_tensor(saved_step(saved), parameter),
            **{moment: saved[f"{moment}/{name}"].to(parameter.device) for moment in MOMENTS},
        }


def scalars(optimizer: torch.optim.Optimizer, average: WeightAverage) -> dict[str, Tensor]:
    """Return what is of no parameter."""
    return {_STEP: torch.tensor(step_of(optimizer)), _AVERAGE_STEPS: torch.tensor(average.steps)}


def saved_step(saved: Mapping[str, Tensor]) -> int:
    """Return the steps AdamW had done."""
    return int(saved[_STEP])


def averaged(average: WeightAverage, name: str) -> dict[str, Tensor]:
    """Return a parameter's average, by kind; nothing where none is kept."""
    return {_AVERAGE: average.average[name]} if name in average.average else {}


def load_average(
    average: WeightAverage,
    saved: Mapping[str, Tensor],
    *,
    held: Callable[[str, Tensor], Tensor] = lambda _, whole: whole,
) -> None:
    """Go on from the average in a checkpoint.

    Args:
        average: To be given what was saved.
        saved: Tensors by name.
        held: What this process holds of a parameter, by its name and its whole average.
    """
    mine = {name: held(name, saved[f"{_AVERAGE}/{name}"]) for name in average.average}
    average.load(mine, int(saved[_AVERAGE_STEPS]))
