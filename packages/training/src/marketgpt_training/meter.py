"""What a training gets out of its machine: candles a second, memory, the GPU's load, share of its peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from marketgpt_training.flops import peak_flops

#: Metrics that depend on the machine, not on what is learned; those of a reading come about once a second.
MACHINE_METRICS = (
    "candles_per_s",
    "model_tflops",
    "mfu",
    "rss_gib",
    "gpu_utilisation",
    "gpu_memory_gib",
)
_GIB = 2.0**30
_EVERY_S = 1.0
_SMOOTHING = 0.95
Reading = Mapping[str, float]


class Meter:
    """Measures steps; asks the machine no more than about once a second.

    Args:
        flops_per_candle: The model's, None when unknown.
        world_size: Processes that train together, a device each.
        peak: The peak of one device, FLOP/s, asked for at the first step; None: no MFU.
        read: Asks the machine.
        clock: Tells seconds.
    """

    def __init__(
        self,
        *,
        flops_per_candle: float | None = None,
        world_size: int = 1,
        peak: Callable[[], float | None] = lambda: None,
        read: Callable[[], Reading] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._flops, self._world_size = flops_per_candle, world_size
        self._ask_peak, self._peak, self._knows_peak = peak, 0.0, False
        self._read, self._clock = read or read_machine, clock
        self._candles = self._seconds = 0.0
        self._read_at = -float("inf")

    def step(self, candles: int, took_s: float) -> dict[str, float]:
        """Return the metrics after a step, ``MACHINE_METRICS`` as far as there are any.

        ``candles_per_s`` is that of recent steps. ``model_tflops`` and ``mfu`` follow from it, over all
        processes. ``rss_gib``, ``gpu_utilisation`` (0 to 1) and ``gpu_memory_gib`` are this process's and its
        device's, there only in steps that were sampled.

        Args:
            candles: Target candles of the step, of all processes.
            took_s: Its wall time.
        """
        self._candles = _SMOOTHING * self._candles + candles
        self._seconds = _SMOOTHING * self._seconds + took_s
        speed = self._candles / max(self._seconds, 1e-9)
        found = {"candles_per_s": speed}
        if self._flops:
            if not self._knows_peak:
                self._peak, self._knows_peak = self._ask_peak() or 0.0, True
            found["model_tflops"] = self._flops * speed / 1e12
            if self._peak:
                found["mfu"] = self._flops * speed / (self._peak * self._world_size)
        now = self._clock()
        if now - self._read_at >= _EVERY_S:
            self._read_at = now
            found |= self._read()
        return found


def read_machine() -> dict[str, float]:
    """Return this process's memory and, where it computes on one, its GPU's load and memory in use."""
    found = {}
    with suppress(ImportError):
        import psutil

        found["rss_gib"] = psutil.Process().memory_info().rss / _GIB
    return found | _read_gpu()


def _read_gpu() -> dict[str, float]:
    import torch

    if not _is_on_gpu():
        return {}
    found = {}
    # The driver may keep its counters from us, as in some containers; that is no reason to stop.
    with suppress(RuntimeError):
        free, total = torch.cuda.mem_get_info()
        found["gpu_memory_gib"] = (total - free) / _GIB
    with suppress(RuntimeError, ModuleNotFoundError, OSError):
        found["gpu_utilisation"] = _utilisation() / 100.0
    return found


def _utilisation() -> float:
    import torch

    return float(torch.cuda.utilization())


def _is_on_gpu() -> bool:
    import torch

    # Before anything is on a GPU the count is 0, without waking the driver.
    return torch.cuda.is_available() and torch.cuda.memory_allocated() > 0


def device_peak(precision: str) -> float | None:
    """Return the published peak of the GPU this process computes on, FLOP/s; None on a CPU or when unknown.

    Args:
        precision: The engine's: ``fp32``, ``bf16`` or ``fp16``.
    """
    import torch

    if not _is_on_gpu():
        return None
    if precision == "fp32" and torch.get_float32_matmul_precision() != "highest":
        precision = "tf32"
    return peak_flops(torch.cuda.get_device_name(), precision)
