"""MultiTaskTransformer: MarketGPT that also names classes and quantiles of what is to come.

Legend: B batch, T time, D width, H horizons, J tasks, Q quantile levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from marketgpt_models.base import InputSpec
from marketgpt_models.gpt import MarketGPT
from marketgpt_models.heads import QuantileHead, TaskHead
from marketgpt_models.losses import TargetCounts, pinball_loss, task_losses
from marketgpt_models.multitask_variant import QUANTILE_LEVELS

if TYPE_CHECKING:
    from marketgpt_models.multitask_variant import MultiTaskConfig


class MultiTaskTransformer(MarketGPT):
    """MarketGPT with heads for the tokenizer's targets and for quantiles of the return, at every horizon.

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs, bins of the horizon targets, and the tasks.
    """

    head_names = ("candle_head", "horizon_head", "task_head", "quantile_head")
    levels: Tensor

    def __init__(self, config: MultiTaskConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.task_weight, self.quantile_weight = config.task_weight, config.quantile_weight
        self.task_head = TaskHead(config.dim, len(spec.horizons), spec.task_sizes)
        self.quantile_head = QuantileHead(config.dim, len(spec.horizons), QUANTILE_LEVELS)
        for head in (self.task_head, self.quantile_head):
            nn.init.zeros_(head.linear.weight)
        self.register_buffer("levels", torch.tensor(QUANTILE_LEVELS), persistent=False)

    def score(self, h_BTD: Tensor, logits: list[Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what MarketGPT does, with ``loss`` as :class:`MultiTaskConfig` sums it, and its new parts.

        They are ``<name>_nll`` of each task and their mean ``task_nll`` (nats a target), and ``pinball``
        (mean over levels, in units of the scaled return).
        """
        result = super().score(h_BTD, logits, batch)
        counts = TargetCounts(batch.get("target_counts"))
        losses_J = task_losses(self.task_head(h_BTD), batch["tasks"], batch["mask"], counts)
        pinball = pinball_loss(self.quantiles(h_BTD), batch["horizon_z"], batch["mask"], self.levels, counts)
        task_nll = losses_J.mean()
        result["loss"] = result["loss"] + self.task_weight * task_nll + self.quantile_weight * pinball
        named = zip(self.spec.task_names, losses_J.detach(), strict=True)
        result |= {f"{name}_nll": value for name, value in named}
        return result | {"task_nll": task_nll.detach(), "pinball": pinball.detach()}

    def task_probabilities(self, h: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (..., H, size) of each task's classes from states (..., D)."""
        logits = self.task_head(h)
        return {name: one.softmax(dim=-1) for name, one in zip(self.spec.task_names, logits, strict=True)}

    def quantiles(self, h: Tensor) -> Tensor:
        """Return quantiles (..., H, Q) of the scaled return from states (..., D), at ``QUANTILE_LEVELS``.

        Scaled: log return over h bars in units of ``next_sigma * sqrt(h)``.
        """
        return self.quantile_head(h)  # type: ignore[no-any-return]
