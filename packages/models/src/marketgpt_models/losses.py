"""Masked cross-entropies in nats.

A mean over a part of a batch is not that part's share of the mean over the batch: parts hold different
numbers of targets. Where a batch is spread over ranks or micro-batches, ``target_counts`` therefore says how
many targets a part holds on average, and sums are divided by that: the mean over the parts is then exactly
the mean over all targets, and so is its gradient.

Whatever a network computes in, its losses are float32: a sum of thousands of nats has no digits left in
bfloat16 and no room in float16.

Legend: B batch, T time, K channels, V tokens of a channel, H horizons, N bins, J tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class TargetCounts:
    """Targets of an average part of the batch, by kind; those of the batch itself where it is not spread.

    Args:
        counts: shape (2 + J,), float32: candles, horizons, each task's; None for a batch that is the whole.
    """

    def __init__(self, counts: Tensor | None) -> None:
        self._counts = counts

    def candles(self, mask_BT: Tensor) -> Tensor:
        """Return the candles to predict."""
        return self._of(0, mask_BT)

    def horizons(self, there_BTH: Tensor) -> Tensor:
        """Return the returns over horizons to predict."""
        return self._of(1, there_BTH)

    def task(self, j: int, there_BTH: Tensor) -> Tensor:
        """Return the classes of a task to predict."""
        return self._of(2 + j, there_BTH)

    def _of(self, kind: int, there: Tensor) -> Tensor:
        if self._counts is None:
            return there.sum().clamp(min=1).float()
        # An average may be a fraction; none at all leaves a sum of nothing.
        count = self._counts[kind].float()
        return torch.where(count > 0, count, 1.0)


_WHOLE = TargetCounts(None)


def candle_losses(
    logits: Sequence[Tensor],
    targets_BTK: Tensor,
    mask_BT: Tensor,
    counts: TargetCounts = _WHOLE,
) -> Tensor:
    """Return the mean cross-entropy of each channel, (K,), over the positions where ``mask`` is True.

    Args:
        logits: K tensors (B, T, V_k).
        targets_BTK: Tokens of candle t + 1.
        mask_BT: Where they count; with none at all the result is 0.
        counts: By how many a sum is divided.
    """
    weight_BT = mask_BT.float()
    count = counts.candles(mask_BT)
    means = [
        F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BTK[..., k].flatten(), reduction="none")
        .mul(weight_BT.flatten())
        .sum()
        / count
        for k, logits_BTV in enumerate(logits)
    ]
    return torch.stack(means)


def horizon_losses(
    logits_BTHN: Tensor,
    z_BTH: Tensor,
    mask_BT: Tensor,
    edges_HN: Tensor,
    *,
    mirrored: float = 0.0,
    counts: TargetCounts = _WHOLE,
) -> tuple[Tensor, Tensor]:
    """Return two mean cross-entropies of the horizon bins, over the targets that are there.

    The first is of the bin that came. In the second half of ``mirrored`` is given to the bin as far from the
    other end: the bins are quantiles, so a rise counts as a fall as rare as it.

    Args:
        logits_BTHN: Logits over the bins.
        z_BTH: Scaled returns; NaN where there is no target.
        mask_BT: Where targets count.
        edges_HN: Inner edges of the bins, (H, N - 1).
        mirrored: From 0 to 1, where the second no longer tells a rise from a fall.
        counts: By how many a sum is divided.
    """
    ids_BTH = torch.stack(
        [torch.bucketize(z_BTH[..., h].contiguous(), edges, right=True) for h, edges in enumerate(edges_HN)],
        dim=-1,
    )
    there_BTH = mask_BT[..., None] & z_BTH.isfinite()
    ids_BTH = torch.where(there_BTH, ids_BTH, torch.zeros_like(ids_BTH))
    log_p_BTHN = logits_BTHN.log_softmax(dim=-1, dtype=torch.float32)
    total = counts.horizons(there_BTH)
    plain, other = (
        -(log_p_BTHN.gather(-1, ids[..., None])[..., 0] * there_BTH).sum() / total
        for ids in (ids_BTH, logits_BTHN.shape[-1] - 1 - ids_BTH)
    )
    return plain, plain + 0.5 * mirrored * (other - plain)


def task_losses(
    logits: Sequence[Tensor],
    tasks_BTHJ: Tensor,
    mask_BT: Tensor,
    counts: TargetCounts = _WHOLE,
) -> Tensor:
    """Return the mean cross-entropy of each task, (J,), over the targets that are there, all horizons alike.

    Args:
        logits: J tensors (B, T, H, size).
        tasks_BTHJ: Classes; -1 where there is none.
        mask_BT: Where targets count.
        counts: By how many a sum is divided.
    """
    means = []
    for j, logits_BTHV in enumerate(logits):
        ids_BTH = tasks_BTHJ[..., j]
        there_BTH = mask_BT[..., None] & (ids_BTH >= 0)
        ids = ids_BTH.clamp(min=0).flatten()
        losses = F.cross_entropy(logits_BTHV.flatten(0, 2).float(), ids, reduction="none")
        means.append((losses * there_BTH.flatten()).sum() / counts.task(j, there_BTH))
    return torch.stack(means)


def pinball_loss(
    quantiles_BTHQ: Tensor,
    z_BTH: Tensor,
    mask_BT: Tensor,
    levels_Q: Tensor,
    counts: TargetCounts = _WHOLE,
) -> Tensor:
    """Return the mean quantile loss (Koenker & Bassett 1978) over levels and the targets that are there.

    Args:
        quantiles_BTHQ: What the model says.
        z_BTH: Scaled returns; NaN where there is no target.
        mask_BT: Where targets count.
        levels_Q: The levels.
        counts: By how many a sum is divided.
    """
    there_BTH = mask_BT[..., None] & z_BTH.isfinite()
    # A NaN would reach the gradient even where it is multiplied by zero.
    excess = z_BTH.where(there_BTH, 0.0)[..., None] - quantiles_BTHQ
    losses_BTH = torch.maximum(levels_Q * excess, (levels_Q - 1.0) * excess).mean(dim=-1)
    return (losses_BTH * there_BTH).sum() / counts.horizons(there_BTH)
