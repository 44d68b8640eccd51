"""Norm and rotation with gradients written out, for CPUs: autograd's own pass over memory more often.

A compiler fuses such operations by itself, and a GPU has kernels of its own: there the plain formulas stand.

Legend: T time, H heads, E width of a head, R rotary angles (E / 2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NORM_EPS = 1e-6


def fuses(x: Tensor) -> bool:
    """Return whether the functions here are the fastest way for x."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.compiler.is_compiling()


class UnitMeanSquare(torch.autograd.Function):
    """Scales the last axis to mean square 1: an RMSNorm without weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        """Return x (..., D) scaled."""
        inverse = _inverse_root_mean_square(x)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        """Return the gradient of x."""
        unit, inverse = ctx.saved_tensors
        return _unit_backward(gradient, unit, inverse)


class TurnedUnit(torch.autograd.Function):
    """Scales each head to mean square 1, then rotates its two halves by each position's angle."""

    @staticmethod
    def forward(ctx: Any, x_THE: Tensor, cos_TR: Tensor, sin_TR: Tensor) -> Tensor:  # noqa: ANN401 - torch's
        """Return x (..., T, H, E) scaled and turned; cos and sin are (T, R)."""
        inverse = _inverse_root_mean_square(x_THE)
        turned = _turn(x_THE, cos_TR, sin_TR).mul_(inverse)
        ctx.save_for_backward(turned, inverse, cos_TR, sin_TR)
        return turned

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's
        """Return the gradient of x."""
        turned, inverse, cos_TR, sin_TR = ctx.saved_tensors
        # A rotation keeps products: the norm's gradient may be taken first, and turned back.
        return _turn(_unit_backward(gradient, turned, inverse), cos_TR, -sin_TR), None, None


def _inverse_root_mean_square(x: Tensor) -> Tensor:
    square: Tensor = torch.linalg.vecdot(x, x)
    return square.div_(x.shape[-1]).add_(NORM_EPS).rsqrt_().unsqueeze(-1)


def _unit_backward(gradient: Tensor, unit: Tensor, inverse: Tensor) -> Tensor:
    along: Tensor = torch.linalg.vecdot(gradient, unit).div_(unit.shape[-1]).unsqueeze(-1)
    return torch.addcmul(gradient, unit, along, value=-1).mul_(inverse)


def _turn(x_THE: Tensor, cos_TR: Tensor, sin_TR: Tensor) -> Tensor:
    angles = cos_TR.shape[-1]
    first, second, sin_T1R = x_THE[..., :angles], x_THE[..., angles:], sin_TR[:, None]
    turned = x_THE * torch.cat((cos_TR, cos_TR), dim=-1)[:, None]
    turned[..., :angles].addcmul_(second, sin_T1R, value=-1)
    turned[..., angles:].addcmul_(first, sin_T1R)
    return turned
