"""Reading signals in the order they were written, and which models they are of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from marketgpt_core.signal import Signal
from marketgpt_signals import queries
from marketgpt_signals.queries import SignalFilter
from marketgpt_signals.records import Records
from marketgpt_signals.rows import signal_of
from marketgpt_signals.schema import signals


class Following(Records):
    """What those need who follow a ledger as it grows."""

    def newest_seq(self) -> int:
        """Return the number of the signal written last; 0 when there is none."""
        (row,) = self._all(select(func.max(signals.c.seq).label("seq")))
        return int(row["seq"] or 0)

    def written(
        self, after: int, wanted: SignalFilter, *, last: int | None = None, limit: int | None = None
    ) -> list[tuple[int, Signal]]:
        """Return signals by their numbers, from after ``after`` to ``last``, in the order of writing.

        Who reads on from a number misses none: writers queue, and are numbered as they commit.
        """
        rows = self._all(queries.written(after, wanted, last=last, limit=limit))
        found = ((int(row["seq"]), signal_of(row)) for row in rows)
        return [(seq, signal) for seq, signal in found if wanted.admits(signal)]

    def models(self) -> list[tuple[str, datetime, datetime]]:
        """Return (model id, first as-of, last as-of) of the models that signals are of, by id."""
        ids = [row["value"] for row in self._all(queries.distinct(signals.c.model_id))]
        first, last = func.min(signals.c.as_of), func.max(signals.c.as_of)
        found = []
        with self._database.read() as connection:
            for one in ids:
                ends = [
                    connection.execute(select(end).where(signals.c.model_id == one)).scalar_one()
                    for end in (first, last)
                ]
                found.append((str(one), ends[0], ends[1]))
        return found
