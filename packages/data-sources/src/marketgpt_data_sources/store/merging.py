"""What becomes of stored candles when a source answers again: a pure function.

Vendors rewrite history. A dividend multiplies every earlier price by one ratio, a split by a large one;
volumes are corrected for days, and the last close until the exchange has published its own. So new candles
are asked for from some stored ones on, and appended only if these still have the prices that are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import FIELDS, PRICES, CandleSeries
from marketgpt_core.symbols import Category
from marketgpt_core.times import iso

# Relative. Adjusted prices of one day differ between two answers by roundings of 32-bit numbers (1e-7); the
# smallest dividend that is paid changes them by some 1e-4.
TOLERANCE = 1e-5
_ONE_RATIO = 1e-4


class UpdateKind(StrEnum):
    """What an update did."""

    NEW = "new"  # nothing was stored
    APPENDED = "appended"  # rows were added or revised, none went
    UNCHANGED = "unchanged"
    READJUSTED = "readjusted"  # nothing was written: fetch the whole history
    REPLACED = "replaced"  # the whole history was rewritten
    SHRUNK = "shrunk"  # nothing was written: the whole history lacks stored candles


@dataclass(frozen=True, eq=False)
class Merge:
    """The outcome of :func:`merge`.

    Attributes:
        kind: What is to be done.
        series: What is to be stored; None when nothing may be written.
        rows_added: Stamps that were not stored.
        rows_revised: Stored stamps whose values change.
        ratio: New prices over stored ones, where they differ by one ratio; None otherwise.
        reason: Why the kind is what it is, in words, where that needs any.
    """

    kind: UpdateKind
    series: CandleSeries | None
    rows_added: int = 0
    rows_revised: int = 0
    ratio: float | None = None
    reason: str = ""


def merge(
    stored: CandleSeries | None,
    fresh: CandleSeries,
    *,
    whole: bool,
    replace_all: bool = False,
    disproved: NDArray[np.datetime64] | None = None,
    tolerance: float = TOLERANCE,
) -> Merge:
    """Return what is to be stored after a source answered ``fresh``.

    A part of the history (``whole=False``) is added to what is stored if they share a stamp, the answer has
    every stored stamp between its first and last, and the shared prices agree within the tolerance. Where
    they agree the stored values stay, so that rounding never changes a fingerprint; a shared candle whose
    volume differs is revised, and so is the last stored one if only it has other prices. Anything else means
    that the source has adjusted or corrected its history: readjusted.

    A whole history replaces what is stored, to the last bit, unless stored stamps are missing in it that
    nothing has disproved.

    Args:
        stored: What is stored; None for nothing.
        fresh: The answer: sound candles, oldest first.
        whole: Whether ``fresh`` is the whole history, from as early as the stored one.
        replace_all: Take a whole history also when stored candles are missing in it; never an empty one.
        disproved: Stamps, datetime64[ns], of stored candles that later ones have proved wrong, as a spike
            that reverted: they may be missing.
        tolerance: Relative difference up to which prices and volumes are the same.
    """
    if stored is None or not len(stored):
        kind = UpdateKind.NEW if len(fresh) else UpdateKind.UNCHANGED
        return Merge(kind, fresh, rows_added=len(fresh))
    if fresh.category is Category.UNKNOWN:
        fresh = replace(fresh, category=stored.category)
    if whole:
        may_go = np.empty(0, dtype=stored.time.dtype) if disproved is None else disproved
        return _whole(stored, fresh, may_go, replace_all=replace_all, tolerance=tolerance)
    return _part(replace(stored, category=fresh.category), fresh, tolerance)


def _whole(
    stored: CandleSeries,
    fresh: CandleSeries,
    may_go: NDArray[np.datetime64],
    *,
    replace_all: bool,
    tolerance: float,
) -> Merge:
    old, new = _shared(stored, fresh)
    lost = np.setdiff1d(stored.time, fresh.time, assume_unique=True)
    accepted = len(fresh) > 0 and (replace_all or bool(np.isin(lost, may_go).all()))
    if len(lost) and not accepted:
        return Merge(UpdateKind.SHRUNK, None, reason=_missing(lost))
    revised = np.logical_or.reduce([getattr(stored, f)[old] != getattr(fresh, f)[new] for f in FIELDS])
    num_revised, num_added = int(np.count_nonzero(revised)), len(fresh) - len(new)
    if num_revised or len(lost):
        moved = _prices_differ(stored, fresh, old, new, tolerance)
        ratio = _ratio(stored, fresh, old[moved], new[moved])
        reason = _missing(lost) if len(lost) else ""
        return Merge(UpdateKind.REPLACED, fresh, num_added, num_revised, ratio, reason)
    return Merge(UpdateKind.APPENDED if num_added else UpdateKind.UNCHANGED, fresh, num_added)


def _part(stored: CandleSeries, fresh: CandleSeries, tolerance: float) -> Merge:
    if not len(fresh):
        return Merge(UpdateKind.UNCHANGED, stored)
    old, new = _shared(stored, fresh)
    if not len(old):
        reason = f"no stored candle from {iso(fresh.time[0])} to {iso(fresh.time[-1])} to compare with"
        return Merge(UpdateKind.READJUSTED, None, reason=reason)
    expected = stored.between(fresh.time[0], None).until(fresh.time[-1]).time
    lost = np.setdiff1d(expected, fresh.time, assume_unique=True)
    if len(lost):
        return Merge(UpdateKind.READJUSTED, None, reason=_missing(lost))
    moved = _prices_differ(stored, fresh, old, new, tolerance)
    # The last stored candle may be corrected alone; with nothing before it to compare, who knows.
    may_move = (old == len(stored) - 1) & (len(old) > 1)
    if (moved & ~may_move).any():
        ratio = _ratio(stored, fresh, old[moved], new[moved])
        count = f"{np.count_nonzero(moved)} of {len(old)} shared candles"
        by = "by no one ratio" if ratio is None else f"by the ratio {ratio:.6g}"
        return Merge(UpdateKind.READJUSTED, None, ratio=ratio, reason=f"{count} have other prices, {by}")
    revised = moved | _differ(stored.volume[old], fresh.volume[new], tolerance)
    added = np.setdiff1d(np.arange(len(fresh)), new, assume_unique=True)
    num_revised = int(np.count_nonzero(revised))
    if not len(added) and not num_revised:
        return Merge(UpdateKind.UNCHANGED, stored)
    series = _union(stored, fresh, old[revised], new[revised], added)
    return Merge(UpdateKind.APPENDED, series, len(added), num_revised)


def _union(
    stored: CandleSeries,
    fresh: CandleSeries,
    old: NDArray[np.intp],
    new: NDArray[np.intp],
    added: NDArray[np.intp],
) -> CandleSeries:
    """Return the stored rows, ``old`` of them replaced by ``new`` of the fresh ones, and those ``added``."""
    time = np.concatenate([stored.time, fresh.time[added]])
    order = np.argsort(time, kind="stable")
    columns: dict[str, Any] = {}
    for name in FIELDS:
        values = getattr(stored, name).copy()
        values[old] = getattr(fresh, name)[new]
        columns[name] = np.concatenate([values, getattr(fresh, name)[added]])[order]
    return replace(stored, time=time[order], **columns)


def _shared(stored: CandleSeries, fresh: CandleSeries) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows in both, (of the stored, of the fresh), of the stamps they share."""
    _, old, new = np.intersect1d(stored.time, fresh.time, assume_unique=True, return_indices=True)
    return old, new


def _prices_differ(
    stored: CandleSeries,
    fresh: CandleSeries,
    old: NDArray[np.intp],
    new: NDArray[np.intp],
    tolerance: float,
) -> NDArray[np.bool_]:
    pairs = ((getattr(stored, name)[old], getattr(fresh, name)[new]) for name in PRICES)
    return np.asarray(np.logical_or.reduce([_differ(one, other, tolerance) for one, other in pairs]))


def _differ(one: NDArray[np.float64], other: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(one - other) > tolerance * np.maximum(one, other))


def _ratio(
    stored: CandleSeries, fresh: CandleSeries, old: NDArray[np.intp], new: NDArray[np.intp]
) -> float | None:
    """Return the one ratio between the closes of these rows; None without one."""
    if not len(old):
        return None
    ratios = fresh.close[new] / stored.close[old]
    middle = float(np.median(ratios))
    return middle if np.all(np.abs(ratios - middle) <= _ONE_RATIO * middle) else None


def _missing(lost: NDArray[np.datetime64]) -> str:
    noun = "candle is" if len(lost) == 1 else "candles are"
    first = f"{iso(lost[0])}" if len(lost) == 1 else f"the first of {iso(lost[0])}"
    return f"{len(lost)} stored {noun} missing in the answer, {first}"
