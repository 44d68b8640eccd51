"""What a person sees while a model trains: loss, candles per second, the GPU's load, time left."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from marketgpt_core.cli.options import progress_console
from marketgpt_training.meter import MACHINE_METRICS
from marketgpt_training.pace import Pace, duration


class TrainingProgress:
    """A progress bar on standard error; without a terminal, a line an epoch.

    Args:
        pace: How far the run is, earlier starts included.
        show: False keeps silent (every rank but the first).
    """

    def __init__(self, pace: Pace, *, show: bool = True) -> None:
        console = progress_console()
        self._pace = pace
        self._lines = show and not console.is_terminal
        self._console = console
        self._machine: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("[bold]train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not show or not console.is_terminal,
        )
        self._task = self._progress.add_task("train", total=pace.total_steps, completed=pace.step, text="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, loss: float, metrics: Mapping[str, float]) -> None:
        """Show where the run is.

        Args:
            loss: Nats per candle, smoothed.
            metrics: Of the step; the machine's are shown until there are newer ones.
        """
        if self._progress.disable:
            return
        self._machine |= {name: metrics[name] for name in MACHINE_METRICS if name in metrics}
        text = "  ".join([f"loss {loss:.3f} nat", *machine_words(self._machine), self._time()])
        self._progress.update(self._task, completed=self._pace.step, text=text)

    def epoch(self, line: str) -> None:
        """Report an epoch: above the bar on a terminal, as a line elsewhere."""
        if self._lines:
            self._console.print(f"{line}  {self._time()}", highlight=False, soft_wrap=True)
        else:
            self._progress.console.print(line, highlight=False)

    def _time(self) -> str:
        pace = self._pace
        start = f" in {pace.starts} starts" if pace.starts > 1 else ""
        return f"{duration(pace.spent_s)}{start}, ETA {duration(pace.eta_s, at_most=pace.can_stop_early)}"


def machine_words(machine: Mapping[str, float]) -> list[str]:
    """Return the machine's metrics that there are, in words."""
    words = []
    if "candles_per_s" in machine:
        words.append(f"{machine['candles_per_s']:,.0f} candles/s")
    if gpu := gpu_words(machine):
        words.append(f"GPU {gpu}")
    if "mfu" in machine:
        words.append(f"MFU {machine['mfu']:.0%}")
    return words


def gpu_words(machine: Mapping[str, float | None]) -> str:
    """Return the GPU's load and memory as far as they are known."""
    load, memory = machine.get("gpu_utilisation"), machine.get("gpu_memory_gib")
    shown = ["" if load is None else f"{load:.0%}", "" if memory is None else f"{memory:.1f} GiB"]
    return " ".join(one for one in shown if one)
