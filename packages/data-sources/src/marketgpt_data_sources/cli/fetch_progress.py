"""What ``marketgpt data fetch`` shows while it runs, and how it is stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marketgpt_core.cli.options import progress_console

if TYPE_CHECKING:
    from types import FrameType

    from marketgpt_data_sources.download import Outcome

_INTERRUPTED = 130


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and a termination request set; a second one ends the process at once.

    What is stored is whole at every moment, so that an end at once loses nothing but the answers under way.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's signature
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()
        os.write(2, b"\nstopping: requests under way are finished; once more ends at once\n")

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[Callable[[Outcome], None]]:
    """Give what takes outcomes as they come and shows them on standard error, if that is a terminal.

    Args:
        total: Symbols to come.
        shown: Whether to show anything at all.
    """
    console = progress_console()
    if not (shown and console.is_terminal):
        yield lambda outcome: None  # noqa: ARG005 - nothing is shown
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]} rows/s"),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="0", failed=0)
        rows = failed = 0

        def show(outcome: Outcome) -> None:
            nonlocal rows, failed
            rows += outcome.rows_added + outcome.rows_revised
            failed += outcome.status == "failed"
            seconds = bar.tasks[0].elapsed or 0.0
            rate = f"{rows / seconds:,.0f}" if seconds else "-"
            bar.update(task, advance=1, description=outcome.symbol, rate=rate, failed=failed)

        yield show
