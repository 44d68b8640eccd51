"""What a model's arithmetic comes to, and what a device could do of it: model FLOPs utilisation.

MFU is the model's FLOPs a second over the peak of the devices (Chowdhery et al. 2022, PaLM, appendix B): what
is computed again (activation checkpointing) does not count, so it compares trainings rather than kernels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# Vendors' peaks in TFLOP/s, dense (not the doubled figures "with sparsity"): of 16-bit tensor cores with
# 32-bit sums, of TF32, and of plain float32; None where the device has none. The first name that fits wins.
# V100: NVIDIA V100 datasheet (2020). T4: T4 datasheet (2019). A100, A30, A40, A10: their datasheets (2021).
# H100: datasheet (2023) and H100 NVL product brief; H200: datasheet (2024). L4, L40S: datasheets (2023).
# B200: HGX B200 datasheet (2024), by device.
_PEAKS: tuple[tuple[str, tuple[float, float | None, float]], ...] = (
    (r"V100S?-PCIE", (112.0, None, 14.0)),
    (r"V100-SXM", (125.0, None, 15.7)),
    (r"\bT4\b", (65.0, None, 8.1)),
    (r"\bA100\b", (312.0, 156.0, 19.5)),
    (r"\bA30\b", (165.0, 82.0, 10.3)),
    (r"\bA40\b", (149.7, 74.8, 37.4)),
    (r"\bA10\b", (125.0, 62.5, 31.2)),
    (r"\bH100 PCIe\b", (756.0, 378.0, 51.0)),
    (r"\bH100 NVL\b", (835.0, 417.0, 60.0)),
    (r"\bH100\b", (989.0, 494.0, 67.0)),
    (r"\bH200 NVL\b", (835.0, 417.0, 60.0)),
    (r"\bH200\b", (989.0, 494.0, 67.0)),
    (r"\bL40S\b", (362.0, 183.0, 91.6)),
    (r"\bL4\b", (121.0, 60.0, 30.3)),
    (r"\bB200\b", (2250.0, 1100.0, 75.0)),
)
_KINDS = {"bf16": 0, "fp16": 0, "tf32": 1, "fp32": 2}
# Devices before Ampere have no bfloat16 units.
_NO_BF16 = re.compile(r"V100|\bT4\b")


def peak_flops(device: str, precision: str) -> float | None:
    """Return a device's published peak, FLOP/s, or None where we know of none.

    Args:
        device: As ``torch.cuda.get_device_name`` says it. A part of a device (MIG) has no published peak.
        precision: ``bf16``, ``fp16``, ``tf32`` or ``fp32``.
    """
    if "MIG" in device or precision not in _KINDS or (precision == "bf16" and _NO_BF16.search(device)):
        return None
    for pattern, peaks in _PEAKS:
        if re.search(pattern, device):
            peak = peaks[_KINDS[precision]]
            return None if peak is None else peak * 1e12
    return None


def flops_per_candle(module: nn.Module, context: int, *, attended: float = 1.0) -> float | None:
    """Return the FLOPs of training on one candle: 6 N + 12 L H Q T (PaLM, appendix B).

    N counts the weights of matrix products; tables that are looked up are none. A network of ours has one
    trunk position a candle, and its decoder and heads use each weight once a candle, too.

    Args:
        module: The network, before an engine has it.
        context: T, candles a window.
        attended: Share of the T candles that attention is counted for; PaLM counts all, though half of them
            lie in the future and are masked.

    Returns:
        None for a module whose FLOPs the formula does not tell: another's, one with several positions a
        candle, one with frozen weights or that is fine-tuned.
    """
    from torch import nn
    from torch.nn.utils import parametrize

    from marketgpt_models.flattened import FlattenedGPT
    from marketgpt_models.layers import Attention
    from marketgpt_models.network import CandleNetwork

    if not isinstance(module, CandleNetwork) or isinstance(module, FlattenedGPT):
        return None
    weights, attention = 0, 0
    for part in module.modules():
        if parametrize.is_parametrized(part):
            return None
        if isinstance(part, nn.Linear | nn.RNNBase):
            matrices = [one for one in part.parameters(recurse=False) if one.ndim > 1]
            if not all(one.requires_grad for one in matrices):
                return None
            weights += sum(one.numel() for one in matrices)
        if isinstance(part, Attention):
            attention += part.num_heads * part.head_width
    return 6.0 * weights + 12.0 * attention * context * attended
