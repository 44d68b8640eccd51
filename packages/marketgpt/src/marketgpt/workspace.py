"""The folder a demo writes and ``marketgpt serve`` reads."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from marketgpt_core.errors import RunError
from marketgpt_core.files import ensure_writable_folder

DEFAULT_FOLDER = Path("marketgpt-demo")


@dataclass(frozen=True)
class Workspace:
    """Where everything of one demo lies.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @property
    def candles(self) -> Path:
        """Folder of Parquet files, one a symbol."""
        return self.folder / "candles"

    @property
    def run(self) -> Path:
        """The sealed training run."""
        return self.folder / "run"

    @property
    def forecasts(self) -> Path:
        """Every forecast made, as ``marketgpt forecast`` writes them."""
        return self.folder / "forecasts.parquet"

    @property
    def ledger(self) -> Path:
        """The SQLite ledger of signals and outcomes."""
        return self.folder / "ledger.db"

    @property
    def backtest(self) -> Path:
        """The backtest's result."""
        return self.folder / "backtest.json"

    @property
    def alerts(self) -> Path:
        """Alerts the monitor raised, a JSON object a line."""
        return self.folder / "alerts.jsonl"

    @property
    def report(self) -> Path:
        """The report."""
        return self.folder / "report.html"

    @property
    def summary(self) -> Path:
        """What the demo printed, as JSON; written last, so it marks a finished demo."""
        return self.folder / "demo.json"

    def check(self, *, overwrite: bool) -> list[Path]:
        """Return what an earlier demo left in the folder; nothing is changed.

        Raises:
            RunError: when the folder is a file, or holds a demo and ``overwrite`` is not set.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is a file, not a folder; choose another with --out")
        parts = (
            self.candles,
            self.run,
            self.forecasts,
            self.ledger,
            self.backtest,
            self.alerts,
            self.report,
            self.summary,
        )
        left = [part for part in parts if os.path.lexists(part)]
        if left and not overwrite:
            raise RunError(
                f"{self.folder} already holds a demo ({', '.join(part.name for part in left)}); "
                "--overwrite replaces it, --out DIR writes elsewhere"
            )
        return left

    def claim(self, *, overwrite: bool) -> None:
        """Make the folder ready for a new demo.

        Raises:
            RunError: when it cannot be written to, or holds something and ``overwrite`` is not set.
        """
        left = self.check(overwrite=overwrite)
        ensure_writable_folder(self.folder)
        # Only what a demo writes is removed: whatever else lies in the folder is somebody's.
        for part in (*left, *self.folder.glob("ledger.db-*")):
            # A link goes, what it points to stays.
            shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
