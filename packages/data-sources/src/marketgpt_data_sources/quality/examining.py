"""One symbol from its rows as they lie there to sound candles, with every finding on the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding, Severity
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.gaps import Attendance, attendance, missing_bars
from marketgpt_data_sources.quality.jumps import jumps, splits
from marketgpt_data_sources.quality.rows import row_faults
from marketgpt_data_sources.quality.shifts import find_shifts, shifts_of
from marketgpt_data_sources.quality.spikes import spikes
from marketgpt_data_sources.quality.stale import stale_runs
from marketgpt_data_sources.quality.table import CHECKS

Mask = NDArray[np.bool_]

# Without these, rows could not become candles at all: they cannot be switched off in cleaning.
_NEEDED = frozenset(
    {name for name, check in CHECKS.items() if check.severity is Severity.REFUSE}
    | {"duplicate-equal", "duplicate-differing"}
)


@dataclass(frozen=True, eq=False)
class Examined:
    """A symbol's rows after the row checks.

    Attributes:
        bars: The rows as they lie there.
        faults: Rows found, by check; shape (T,) each, over ``bars``. Only checks that found any.
        sound: Those that can be candles: in order, adjusted if asked for.
    """

    bars: Bars
    faults: dict[str, Mask]
    sound: Bars

    @property
    def bad(self) -> Mask:
        """Rows that are no sound candle; shape (T,)."""
        masks = [mask for name, mask in self.faults.items() if CHECKS[name].severity is not Severity.REPORT]
        return np.logical_or.reduce(masks) if masks else np.zeros(len(self.bars), dtype=bool)


def examine(bars: Bars, config: QualityConfig, *, now: datetime | None, adjust: bool) -> Examined:
    """Run the row checks: first what a row shows by itself, then spikes among the rest.

    Args:
        bars: Rows of one symbol as they lie there.
        config: Thresholds and choice of checks.
        now: See :func:`rows.row_faults`.
        adjust: Whether to adjust prices by ``adj_close``, where there is one.
    """
    faults = row_faults(bars, now=now, adjust=adjust)
    faults = {name: mask for name, mask in faults.items() if name in _NEEDED or config.wants(name)}
    first = Examined(bars, faults, bars)
    bad = first.bad
    # Positions of the sound rows in bars, by time.
    at = np.flatnonzero(~bad)
    time = bars.time[at]
    if np.any(np.diff(time) <= np.timedelta64(0, "ns")):
        at = at[np.argsort(time, kind="stable")]
    # A view of everything on the usual path: nothing is copied.
    sound = bars if len(at) == len(bars) and not bad.any() and _is_identity(at) else bars[at]
    sound = sound.adjusted() if adjust else sound
    if config.wants("spike"):
        spiky = spikes(sound, config)
        if spiky.any():
            mask = np.zeros(len(bars), dtype=bool)
            mask[at[spiky]] = True
            faults["spike"] = mask
            sound = sound[~spiky]
    return Examined(bars, faults, sound)


def _is_identity(at: NDArray[np.int64]) -> bool:
    return bool(np.all(np.diff(at) == 1))


def examine_series(bars: Bars, config: QualityConfig) -> tuple[list[Finding], Attendance | None]:
    """Run the checks of the whole series.

    Args:
        bars: Sound candles of one symbol, oldest first.
        config: Thresholds and choice of checks.

    Returns:
        (findings, attendance): what ``gap`` and ``off-session`` are judged by when all symbols are known;
        None where they are not asked for.
    """
    if not len(bars):
        return [], None
    found: list[Finding | None] = []
    if config.wants("split"):
        found.append(splits(bars, config))
    if config.wants("jump"):
        found.append(jumps(bars, config))
    if config.wants("stale"):
        found.append(stale_runs(bars, config))
    shift = shifts_of(bars)
    wants_calendar = config.wants("gap") or config.wants("off-session")
    if config.wants("shift") or wants_calendar or config.wants("missing-bars"):
        shift, finding = find_shifts(bars, config)
        found.append(finding if config.wants("shift") else None)
    if config.wants("missing-bars"):
        found.append(missing_bars(bars, shift, config))
    kept = [finding for finding in found if finding is not None]
    return kept, attendance(bars, shift) if wants_calendar else None
