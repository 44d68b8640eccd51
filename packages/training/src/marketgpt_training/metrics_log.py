"""``metrics.jsonl``: what every step and epoch measured, a JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path


class MetricsLog:
    """Appends to the file, flushed as written.

    Args:
        path: Where; None writes nowhere (every rank but the first).
        length: Bytes kept of what is there: what was written after a checkpoint is written anew.
    """

    def __init__(self, path: Path | None, *, length: int = 0) -> None:
        self._file = None
        if path:
            path.touch()
            self._file = path.open("r+b")
            self.cut(length)

    def write(self, **values: object) -> None:
        """Append one line."""
        if self._file:
            self._file.write(json.dumps(values, allow_nan=False).encode() + b"\n")
            self._file.flush()

    @property
    def length(self) -> int:
        """Bytes written."""
        return self._file.tell() if self._file else 0

    def cut(self, length: int) -> None:
        """Forget everything after the first ``length`` bytes."""
        if self._file:
            self._file.truncate(min(length, self._file.seek(0, 2)))
            self._file.seek(0, 2)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
