"""The ledger as a file for other tools."""

from __future__ import annotations

from pathlib import Path

from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.files import atomic_path, write_json
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.rows import OUTCOME_FIELDS, outcome_json, outcome_row, signal_json, signal_row

SUFFIXES = (".csv", ".json", ".parquet")


def export_ledger(ledger: Ledger, path: Path) -> int:
    """Write every signal, newest first, with its outcome where there is one; the suffix says how.

    CSV and Parquet have one row a signal, the outcome's columns empty while it is open.

    Returns:
        How many signals were written.

    Raises:
        ConfigError: for a suffix that is none of ``.csv``, ``.json``, ``.parquet``.
        RunError: when the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"cannot export to {path.name!r}; {hint(path.suffix, SUFFIXES)}")
    came = {outcome.signal_id: outcome for _, outcome in ledger.resolved()}
    said = ledger.signals()
    if path.suffix == ".json":
        rows = [
            signal_json(signal) | {"outcome": outcome_json(came[signal.id]) if signal.id in came else None}
            for signal in said
        ]
        write_json(path, rows)
        return len(said)
    import pandas as pd

    columns = [name for name in OUTCOME_FIELDS if name != "signal_id"]
    empty = dict.fromkeys(columns)
    table = []
    for signal in said:
        outcome = outcome_row(came[signal.id]) if signal.id in came else empty
        table.append(signal_row(signal) | {name: outcome[name] for name in columns})
    frame = pd.DataFrame(table)
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    return len(said)
