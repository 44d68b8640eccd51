"""``metrics.jsonl``: what every step and epoch measured, a JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines that are whole: a kill may have cut the last one; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


class MetricsLog:
    """Writes the file on from where it is cut, flushed as written.

    Args:
        path: Where; None writes nowhere (every rank but the first).
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path:
            path.touch()
            self._file = path.open("r+b")

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
