"""How many candles a training step takes in, beside a GPT-2 of equal size from ``transformers``.

Both read 8 windows of 256 candles in float32: market_gpt four tokens, seven continuous values and five
calendar fields a candle, with its chained head and five direct horizon heads; GPT-2 one token of 1,024 a
candle, tied, and no more parameters than ours. No dropout on either side. A step is forward, backward,
clipping and fused AdamW; steps go by turns, so that what else runs on the machine slows all alike. One
thread, medians of CPU seconds and of the ratios of steps beside each other.

The layout ``flattened`` (a trunk position a token) is the reference arm, for two steps. Run it with::

    uv run --with transformers python benchmarks/model_training.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from marketgpt_core import registry
from marketgpt_core.testing import make_candles
from marketgpt_models import HorizonBins, InputSpec, features_of
from marketgpt_models.features import CALENDAR_SIZES, continuous_names
from marketgpt_models.testing import example_batch

WINDOWS, CANDLES, GPT2_VOCABULARY = 8, 256, 1_024
HORIZONS = (1, 5, 10, 21, 42)
# Keys and values for every head, as GPT-2 has them.
SIZES: dict[str, dict[str, Any]] = {
    "4M": {"num_layers": 5, "dim": 256, "num_heads": 4, "num_kv_heads": 4, "head_dim_candle": 128},
    "25M": {"num_layers": 8, "dim": 512, "num_heads": 8, "num_kv_heads": 8, "head_dim_candle": 256},
}
LEAST_RATIO, FLATTENED_STEPS = 1.0, 2


def spec() -> InputSpec:
    """Return what a model of daily candles reads, with the default vocabulary."""
    candles = make_candles(("AAA",), num_candles=3_000)
    tokenizer = registry("tokenizer").create("ohlc", {}).fit(candles)
    z = features_of(tokenizer.encode(candles["AAA"]), HORIZONS).horizon_z
    return InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(continuous_names(tokenizer.channel_names)),
        calendar_sizes=CALENDAR_SIZES,
        horizons=HORIZONS,
        horizon_bins=HorizonBins.fit(z, HORIZONS).to_json(),
        assets=("AAA", "BBB", "CCC"),
        categories=("us",),
    )


def market_gpt(options: dict[str, Any]) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """Return the module and what gives its loss."""
    inputs = spec()
    batch = example_batch(inputs, size=WINDOWS, length=CANDLES)
    options = options | {"context": CANDLES, "dropout": 0.0}
    return registry("model").create("market_gpt", options).build(inputs), lambda module: module(batch)["loss"]


def gpt2(options: dict[str, Any], most_parameters: int) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """Return the largest GPT-2 of these layers, width and heads within so many parameters, and its loss."""
    from transformers import GPT2Config, GPT2LMHeadModel

    layers, width = options["num_layers"], options["dim"]
    without_mlp = (GPT2_VOCABULARY + CANDLES) * width + layers * (4 * width * width + 9 * width) + 2 * width
    hidden = (most_parameters - without_mlp) // (layers * (2 * width + 1)) // 8 * 8
    config = GPT2Config(
        vocab_size=GPT2_VOCABULARY,
        n_positions=CANDLES,
        n_embd=width,
        n_layer=layers,
        n_head=options["num_heads"],
        n_inner=hidden,
        bos_token_id=None,
        eos_token_id=None,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    tokens = torch.randint(0, GPT2_VOCABULARY, (WINDOWS, CANDLES))
    # One target a candle, as ours: the library would shift them and score one fewer.
    targets = torch.randint(0, GPT2_VOCABULARY, (WINDOWS * CANDLES,))

    def loss(module: nn.Module) -> Tensor:
        logits = module(tokens, use_cache=False).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets)

    return GPT2LMHeadModel(config), loss


class Arm:
    """A module in training.

    Args:
        module: The module.
        loss: What gives its loss.
    """

    def __init__(self, module: nn.Module, loss: Callable[[nn.Module], Tensor]) -> None:
        self.module, self.loss = module.train(), loss
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
        self.seconds: list[float] = []

    @property
    def num_parameters(self) -> int:
        """Parameters of the module."""
        return sum(one.numel() for one in self.module.parameters())

    def step(self) -> None:
        """Do one step and keep its CPU seconds."""
        began = time.process_time()
        loss = self.loss(self.module)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.seconds.append(time.process_time() - began)


def compared(options: dict[str, Any], steps: int, *, flattened: bool) -> dict[str, Any]:
    """Return parameters, candles a CPU second, and ratios to GPT-2, of every arm at one size."""
    torch.manual_seed(0)
    arms = {"market_gpt": Arm(*market_gpt(options))}
    arms["gpt2"] = Arm(*gpt2(options, arms["market_gpt"].num_parameters))
    if flattened:
        arms["market_gpt flattened"] = Arm(*market_gpt(options | {"layout": "flattened"}))
    # The first step makes the optimiser's state.
    for number in range(1 + steps):
        for name, arm in arms.items():
            if name != "market_gpt flattened" or number <= FLATTENED_STEPS:
                arm.step()
    rates = {name: WINDOWS * CANDLES / statistics.median(arm.seconds[1:]) for name, arm in arms.items()}
    ratios = {
        name: statistics.median(
            theirs / ours for ours, theirs in zip(arm.seconds[1:], arms["gpt2"].seconds[1:], strict=False)
        )
        for name, arm in arms.items()
    }
    return {
        name: {
            "parameters": arm.num_parameters,
            "candles_per_cpu_s": round(rates[name], 1),
            "times_gpt2": round(ratios[name], 3),
            "cpu_s": [round(one, 3) for one in arm.seconds[1:]],
        }
        for name, arm in arms.items()
    }


def main() -> int:
    """Measure, print a table and JSON; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--no-flattened", action="store_true", help="leave the slow reference arm out")
    given = parser.parse_args()
    try:
        import transformers
    except ImportError:
        sys.exit(
            "transformers is not installed: uv run --with transformers python benchmarks/model_training.py"
        )
    torch.set_num_threads(1)
    sizes = {
        name: compared(SIZES[name], given.steps, flattened=not given.no_flattened) for name in given.sizes
    }
    for name, arms in sizes.items():
        for arm, one in arms.items():
            print(
                f"{name:5}{arm:22}{one['parameters']:>12,} parameters"
                f"{one['candles_per_cpu_s']:>9.0f} candles/CPU s{one['times_gpt2']:>7.2f}x GPT-2"
            )
    holds = all(arms["market_gpt"]["times_gpt2"] >= LEAST_RATIO for arms in sizes.values())
    report = {
        "sizes": sizes,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "holds": holds,
    }
    print(json.dumps(report, indent=2))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
