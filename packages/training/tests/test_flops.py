"""The formula of FLOPs against torch's own count, and the published peaks."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from marketgpt_core.plugins import registry
from marketgpt_models.testing_examples import example_batch, example_spec
from marketgpt_training.flops import flops_per_candle, peak_flops

CONTEXT, WINDOWS = 64, 4


def build(name, **options):
    torch.manual_seed(0)
    return registry("model").create(name, {"context": CONTEXT, **options}).build(example_spec())


def counted(module):
    """FLOPs a candle of one forward and backward, as torch counts matrix products and attention."""
    batch = example_batch(example_spec(), size=WINDOWS, length=CONTEXT)
    # With attention in plain products: the fused kernels' backward is counted with what they compute again.
    with (
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        module(batch)["loss"].backward()
    return counter.get_total_flops() / (WINDOWS * CONTEXT)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("market_gpt", {"num_layers": 2, "dim": 64, "num_heads": 4}),
        ("market_gpt", {"num_layers": 6, "dim": 32, "num_heads": 2, "layout": "parallel"}),
        ("multitask", {"num_layers": 2, "dim": 64, "num_heads": 4}),
    ],
)
def test_the_formula_agrees_with_what_torch_counts(name, options):
    module = build(name, **options)
    assert flops_per_candle(module, CONTEXT) == pytest.approx(counted(module), rel=0.03)


def test_attention_is_more_than_nothing_and_can_be_halved():
    module = build("market_gpt", num_layers=2, dim=64, num_heads=4)
    whole, half, none = (flops_per_candle(module, CONTEXT, attended=share) for share in (1.0, 0.5, 0.0))
    assert whole - none == 12 * 2 * 64 * CONTEXT
    assert whole - half == half - none


def test_what_the_formula_does_not_tell_is_not_told():
    assert flops_per_candle(torch.nn.Linear(3, 3), CONTEXT) is None
    assert (
        flops_per_candle(build("market_gpt", num_layers=1, dim=16, num_heads=2, layout="flattened"), CONTEXT)
        is None
    )
    frozen = build("market_gpt", num_layers=1, dim=16, num_heads=2)
    frozen.blocks.requires_grad_(requires_grad=False)
    assert flops_per_candle(frozen, CONTEXT) is None


@pytest.mark.parametrize(
    ("device", "precision", "tflops"),
    [
        ("NVIDIA A100-SXM4-40GB", "bf16", 312),
        ("NVIDIA A100-PCIE-40GB", "tf32", 156),
        ("NVIDIA H100 80GB HBM3", "bf16", 989),
        ("NVIDIA H100 PCIe", "bf16", 756),
        ("NVIDIA H200", "fp16", 989),
        ("Tesla T4", "fp16", 65),
        ("Tesla T4", "bf16", None),
        ("Tesla T4", "tf32", None),
        ("Tesla V100-SXM2-16GB", "fp16", 125),
        ("NVIDIA L4", "bf16", 121),
        ("NVIDIA L40S", "bf16", 362),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA GeForce RTX 9999", "bf16", None),
        ("NVIDIA A100-SXM4-40GB", "int8", None),
    ],
)
def test_published_peaks(device, precision, tflops):
    found = peak_flops(device, precision)
    assert found is None if tflops is None else found == tflops * 1e12
