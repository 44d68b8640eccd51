"""What is learned on top of a base model: differences from its weights, which fold into plain weights again.

A parameter W of the base is computed as W + D. W is a constant then; an engine sees D alone, whatever ZeRO
makes of it. Weight decay on D pulls towards the base: the L2-SP penalty of Li, Grandvalet and Davoine,
"Explicit inductive bias for transfer learning with convolutional networks", 2018, decoupled as AdamW does it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from marketgpt_core.errors import ConfigError
from marketgpt_training.config import FinetuneConfig


class AddedTo(nn.Module):
    """W + D, D of W's shape.

    Args:
        base: W.
    """

    base: Tensor

    def __init__(self, base: Tensor) -> None:
        super().__init__()
        self.register_buffer("base", base, persistent=False)

    def forward(self, difference: Tensor) -> Tensor:
        """Return the weight."""
        return self.base + difference

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return D."""
        return weight - self.base


class LowRank(nn.Module):
    """W + alpha / r * B A: Hu et al., "LoRA: low-rank adaptation of large language models", 2021.

    Args:
        base: W, shape (out, in).
        rank: r.
        alpha: Scale; A is drawn as there, B starts at zero.
    """

    base: Tensor

    def __init__(self, base: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.register_buffer("base", base, persistent=False)
        self.rank, self.scale = min(rank, *base.shape), alpha / rank

    def forward(self, up: Tensor, down: Tensor) -> Tensor:
        """Return the weight of B (out, r) and A (r, in)."""
        return torch.addmm(self.base, up, down, alpha=self.scale)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return B and A of the base itself."""
        rows, columns = weight.shape
        down = torch.randn(self.rank, columns, dtype=weight.dtype, device=weight.device) / columns**0.5
        return weight.new_zeros(rows, self.rank), down


def adapt(module: nn.Module, config: FinetuneConfig) -> None:
    """Make a module with the base's weights learn as ``config.method`` says; all else becomes constant.

    Args:
        module: Freshly built, the base's weights loaded.
        config: Method, rank and scale.

    Raises:
        ConfigError: for a method the module has nothing for.
    """
    chosen = _learned(module, config)
    if not chosen:
        raise ConfigError(_NOTHING[config.method])
    recurrent = [
        owner for owner, name in _parameters(module)
        if (owner, name) in chosen and isinstance(owner, nn.RNNBase)
    ]  # fmt: skip
    if recurrent:
        raise ConfigError(
            f"finetune.method {config.method}: {type(recurrent[0]).__name__} layers of torch cannot be held "
            "to their base; allowed for this model: heads"
        )
    for owner, name in _parameters(module):
        weight = getattr(owner, name).detach().clone()
        if (owner, name) not in chosen:
            _freeze(owner, name)
        elif config.method == "lora":
            _parametrize(owner, name, LowRank(weight, config.rank, config.alpha))
        else:
            _parametrize(owner, name, AddedTo(weight))


def fold(module: nn.Module) -> None:
    """Make plain parameters again of what :func:`adapt` made, in place: the base's names, the new weights."""
    for owner in list(module.modules()):
        # A copy: removing one changes the dictionary.
        for name in list(getattr(owner, "parametrizations", {})):
            parametrize.remove_parametrizations(owner, name, leave_parametrized=True)


_NOTHING = {
    "full": "the base has no parameters",
    "heads": "finetune.method heads: the base's module names no heads (attribute head_names); allowed: full",
    "lora": "finetune.method lora: the base has no linear layers; allowed: full, heads",
}


def _learned(module: nn.Module, config: FinetuneConfig) -> set[tuple[nn.Module, str]]:
    pairs = set(_parameters(module))
    if config.method == "full":
        return pairs
    if config.method == "lora":
        return {(owner, name) for owner, name in pairs if isinstance(owner, nn.Linear) and name == "weight"}
    named = [getattr(module, head, None) for head in getattr(module, "head_names", ())]
    inside = {owner for head in named if head is not None for owner in head.modules()}
    return {(owner, name) for owner, name in pairs if owner in inside}


def _parameters(module: nn.Module) -> list[tuple[nn.Module, str]]:
    return [(owner, name) for owner in module.modules() for name, _ in owner.named_parameters(recurse=False)]


def _parametrize(owner: nn.Module, name: str, by: nn.Module) -> None:
    # Unchecked: the check draws random numbers for A twice, and shapes are right by construction.
    parametrize.register_parametrization(owner, name, by, unsafe=True)


def _freeze(owner: nn.Module, name: str) -> None:
    parameter = owner.get_parameter(name)
    # A recurrent layer keeps further references to it, which must not ask for gradients either.
    parameter.requires_grad_(False)
    delattr(owner, name)
    owner.register_buffer(name, parameter.detach())
