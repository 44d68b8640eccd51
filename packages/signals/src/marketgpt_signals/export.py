"""The ledger as a file for other tools, written page by page: a ledger need not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from marketgpt_core.errors import ConfigError, RunError, hint
from marketgpt_core.files import atomic_path
from marketgpt_core.signal import Outcome, Signal
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.rows import (
    OUTCOME_FIELDS,
    SIGNAL_FIELDS,
    outcome_json,
    outcome_row,
    signal_json,
    signal_row,
)

Page = Sequence[tuple[Signal, Outcome | None]]

_COLUMNS = [name for name in OUTCOME_FIELDS if name != "signal_id"]
_NOTHING = dict.fromkeys(_COLUMNS)


def export_ledger(ledger: Ledger, path: Path) -> int:
    """Write every signal, newest first, with its outcome where there is one; the suffix says how.

    CSV and Parquet have one row a signal, the outcome's columns empty while it is open.

    Returns:
        How many signals were written.

    Raises:
        ConfigError: for a suffix that is none of ``.csv``, ``.json``, ``.parquet``.
        RunError: when the file cannot be written.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(f"cannot export to {path.name!r}; {hint(path.suffix, WRITERS)}")
    num_written = 0

    def counted() -> Iterator[Page]:
        nonlocal num_written
        for page in ledger.pages():
            num_written += len(page)
            yield page

    with atomic_path(path) as temporary:
        try:
            WRITERS[path.suffix](temporary, counted())
        except OSError as error:  # a full disk
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return num_written


def _csv(path: Path, pages: Iterator[Page]) -> None:
    import pandas as pd

    with path.open("w", encoding="utf-8", newline="") as file:
        for number, page in enumerate(pages):
            pd.DataFrame(_rows(page)).to_csv(file, index=False, header=number == 0)


def _json(path: Path, pages: Iterator[Page]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        before = "\n"
        for page in pages:
            for signal, outcome in page:
                row = signal_json(signal) | {"outcome": None if outcome is None else outcome_json(outcome)}
                file.write(before + json.dumps(row, allow_nan=False))
                before = ",\n"
        file.write("\n]\n")


def _parquet(path: Path, pages: Iterator[Page]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _arrow_schema(pa)
    with pq.ParquetWriter(path, schema) as writer:
        for page in pages:
            writer.write_table(pa.Table.from_pylist(_rows(page), schema=schema))


def _arrow_schema(pa: Any) -> Any:  # noqa: ANN401 - pyarrow brings no types
    """Return the columns, the same whether or not a page has an outcome."""
    moment = pa.timestamp("us", tz="UTC")
    kinds = dict.fromkeys(("as_of", "expires_at", "created_at", "entry_at", "exit_at"), moment)
    kinds |= {"resolved_at": moment, "horizon_bars": pa.int64(), "hit": pa.bool_(), "inside_90": pa.bool_()}
    texts = ("id", "symbol", "interval", "side", "reason", "strategy", "model_id", "data_fingerprint")
    kinds |= dict.fromkeys((*texts, "code_revision"), pa.string())
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in (*SIGNAL_FIELDS, *_COLUMNS)])


def _rows(page: Page) -> list[dict[str, Any]]:
    rows = []
    for signal, outcome in page:
        came = _NOTHING if outcome is None else outcome_row(outcome)
        rows.append(signal_row(signal) | {name: came[name] for name in _COLUMNS})
    return rows


WRITERS: dict[str, Callable[[Path, Iterator[Page]], None]] = {
    ".csv": _csv, ".json": _json, ".parquet": _parquet,
}  # fmt: skip
