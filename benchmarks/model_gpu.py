"""How well a CUDA device is used in training the largest preset: share of its peak that model FLOPs make up.

market_gpt of 12 layers, width 768, 12 heads and a context of 512 (86 million parameters), bfloat16 autocast,
``torch.compile`` over the module, fused AdamW. Batches are cut from tokens made beforehand, by a thread of
their own, pinned, and copied while the step before runs. The same again with one batch that stays on the
device: the difference is what feeding costs.

FLOPs of a candle: 6 for each weight of a linear layer (tables that are looked up do not count) and
6 * layers * width * context for attention, of which the causal half counts alone. Peaks are the vendors' for
dense bfloat16. Run it on a machine with one device::

    uv run python benchmarks/model_gpu.py

Without a CUDA device it says so in JSON, measures nothing and exits with 2; ``--rehearse`` runs a tiny model
on the CPU through the same code and claims nothing.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from marketgpt_core import registry
from marketgpt_core.testing import make_candles
from marketgpt_models import HorizonBins, InputSpec, features_of
from marketgpt_models.features import CALENDAR_SIZES, continuous_names
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.flops import flops_per_candle, peak_flops

OPTIONS: dict[str, Any] = {
    "num_layers": 12, "dim": 768, "num_heads": 12, "num_kv_heads": 12, "head_dim_candle": 256,
    "context": 512, "dropout": 0.0,
}  # fmt: skip
TINY: dict[str, Any] = OPTIONS | {"num_layers": 1, "dim": 48, "head_dim_candle": 16, "context": 32}
HORIZONS = (1, 5, 10, 21, 42)
# Dense bfloat16, FLOP/s; the first name found in the device's counts.
LEAST_UTILISATION = 0.40
Batch = dict[str, Tensor]


def made_up(context: int) -> tuple[InputSpec, WindowDataset]:
    """Return a specification with the default vocabulary, and tokens of 16 made-up symbols as a dataset."""
    candles = make_candles(tuple(f"S{i}" for i in range(16)), num_candles=max(4 * context, 1_000))
    tokenizer = registry("tokenizer").create("ohlc", {}).fit(candles)
    features = [features_of(tokenizer.encode(one), HORIZONS) for one in candles.values()]
    spec = InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(continuous_names(tokenizer.channel_names)),
        calendar_sizes=CALENDAR_SIZES,
        horizons=HORIZONS,
        horizon_bins=HorizonBins.fit(features[0].horizon_z, HORIZONS).to_json(),
    )
    return spec, WindowDataset(features, context=context, spec=spec)


def batches(dataset: WindowDataset, size: int, device: torch.device) -> Iterator[Batch]:
    """Yield batches on the device for ever, made ahead by a thread."""
    made: queue.Queue[Batch] = queue.Queue(maxsize=4)

    def make() -> None:
        for epoch in count():
            for batch in dataset.epoch(size, seed=0, epoch=epoch):
                if len(batch["tokens"]) == size:
                    pinned = device.type == "cuda"
                    made.put({name: one.pin_memory() if pinned else one for name, one in batch.items()})

    threading.Thread(target=make, daemon=True).start()
    while True:
        yield {name: one.to(device, non_blocking=True) for name, one in made.get().items()}


def seconds_a_step(
    module: nn.Module, feed: Iterator[Batch], device: torch.device, steps: int, warm_up: int
) -> float:
    """Return the mean wall time of a step after the warm-up."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
    began = 0.0
    for number in range(warm_up + steps):
        if number == warm_up:
            _wait(device)
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            loss = module(next(feed))["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    _wait(device)
    return (time.perf_counter() - began) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured(options: dict[str, Any], device: torch.device, size: int, steps: int) -> dict[str, Any]:
    """Return the report of one device."""
    spec, dataset = made_up(options["context"])
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    module = registry("model").create("market_gpt", options).build(spec).to(device).train()
    run = torch.compile(module, fullgraph=True) if device.type == "cuda" else module
    feed = batches(dataset, size, device)
    still = next(feed)
    took = {
        "fed": seconds_a_step(run, feed, device, steps, warm_up=10 if device.type == "cuda" else 1),
        "one_batch": seconds_a_step(run, iter(lambda: still, None), device, steps, warm_up=1),
    }
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    peak = peak_flops(name, "bf16")
    flops = flops_per_candle(module, options["context"], attended=0.5) or 0.0
    candles_per_s = size * options["context"] / took["fed"]
    utilisation = candles_per_s * flops / peak if peak else None
    return {
        "device": name,
        "parameters": sum(one.numel() for one in module.parameters()),
        "windows_a_step": size,
        "seconds_a_step": took,
        "feeding_costs": took["fed"] / took["one_batch"] - 1.0,
        "candles_per_s": candles_per_s,
        "model_flops_a_candle": flops,
        "peak_flops": peak,
        "model_flops_utilisation": utilisation,
        "peak_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None,
        "torch": torch.__version__,
        "holds": utilisation is not None and utilisation >= LEAST_UTILISATION,
    }


def main() -> int:
    """Measure and print JSON; exit status 1 when the target is missed, 2 without a CUDA device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=64, help="windows a step")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rehearse", action="store_true", help="run the code on the CPU with a tiny model")
    given = parser.parse_args()
    if given.rehearse:
        report = measured(TINY, torch.device("cpu"), 2, 2)
        print(json.dumps({"measured": False, "why": "a rehearsal", "report": report}, indent=2))
        return 0
    if not torch.cuda.is_available():
        print(json.dumps({"measured": False, "why": f"torch {torch.__version__} finds no CUDA device"}))
        return 2
    report = measured(OPTIONS, torch.device("cuda"), given.windows, given.steps)
    print(json.dumps({"measured": True, "report": report}, indent=2))
    return 0 if report["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
