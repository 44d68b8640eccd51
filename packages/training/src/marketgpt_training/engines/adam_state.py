"""What AdamW knows beside the weights, by the names of a model's parameters.

Names in a checkpoint: ``weight/NAME``, ``exp_avg/NAME``, ``exp_avg_sq/NAME``, ``average/NAME`` (of the
weights' moving average), ``optimizer/step`` and ``average_steps``; all tensors whole, in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from marketgpt_training.weight_average import WeightAverage

MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP, _AVERAGE_STEPS = "optimizer/step", "average_steps"


def on_cpu(tensor: Tensor) -> Tensor:
    """Return a copy in main memory that training does not change, in float32."""
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()


def is_mine(number: int, rank: int, world_size: int) -> bool:
    """Return whether a rank writes the tensors of the parameter with this number: they take turns."""
    return number % world_size == rank


def step_of(optimizer: torch.optim.Optimizer) -> int:
    """Return the steps AdamW has done, 0 before the first."""
    return next((int(one["step"]) for one in optimizer.state.values() if "step" in one), 0)


def moments_of(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """Return both moments of a parameter the optimizer holds itself; nothing before the first step."""
    state = optimizer.state.get(parameter, {})
    return {moment: state[moment] for moment in MOMENTS if moment in state}


def load_moments(
    optimizer: torch.optim.Optimizer, name: str, parameter: nn.Parameter, saved: Mapping[str, Tensor]
) -> None:
    """Give a parameter the optimizer holds itself its moments back."""
    if f"{MOMENTS[0]}/{name}" not in saved:
        optimizer.state.pop(parameter, None)
        return
    optimizer.state[parameter] = {
        "step": torch.tensor(float(saved[_STEP]), dtype=torch.float32),
        **{moment: saved[f"{moment}/{name}"].to(parameter.device) for moment in MOMENTS},
    }


def scalars(optimizer: torch.optim.Optimizer, average: WeightAverage) -> dict[str, Tensor]:
    """Return what is of no parameter."""
    return {_STEP: torch.tensor(step_of(optimizer)), _AVERAGE_STEPS: torch.tensor(average.steps)}


def saved_step(saved: Mapping[str, Tensor]) -> int:
    """Return the steps AdamW had done."""
    return int(saved[_STEP])


def average_state(average: WeightAverage, names: Iterable[str]) -> dict[str, Tensor]:
    """Return the average of some parameters; nothing where none is kept."""
    return {f"average/{name}": on_cpu(average.average[name]) for name in names if name in average.average}


def load_average(average: WeightAverage, saved: Mapping[str, Tensor]) -> None:
    """Go on from the average in a checkpoint."""
    average.load({name: saved[f"average/{name}"] for name in average.average}, int(saved[_AVERAGE_STEPS]))
