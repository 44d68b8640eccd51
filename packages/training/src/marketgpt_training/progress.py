"""What a person sees while a model trains: loss, candles per second, time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from marketgpt_core.cli.options import progress_console


class TrainingProgress:
    """A progress bar on standard error; without a terminal, a line an epoch.

    Args:
        total_steps: Optimizer steps planned.
        show: False keeps silent (every rank but the first).
        done: Steps of earlier starts of the run.
    """

    def __init__(self, total_steps: int, *, show: bool = True, done: int = 0) -> None:
        console = progress_console()
        self._lines = show and not console.is_terminal
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            disable=not show or not console.is_terminal,
        )
        self._task = self._progress.add_task("train", total=total_steps, completed=done, text="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, loss: float, candles_per_s: float) -> None:
        """Show one more step.

        Args:
            loss: Nats per candle, smoothed.
            candles_per_s: Target candles trained on per second of wall time.
        """
        text = f"loss {loss:.3f} nat  {candles_per_s:,.0f} candles/s"
        self._progress.update(self._task, advance=1, text=text)

    def epoch(self, line: str, *, eta_s: float) -> None:
        """Report an epoch: above the bar on a terminal, as a line elsewhere."""
        if self._lines:
            self._console.print(f"{line}  ETA {eta_s:.0f} s", highlight=False)
        else:
            self._progress.console.print(line, highlight=False)
