"""Prices that change their level overnight without a reason in the market: splits, spin-offs, splices."""

from __future__ import annotations

import math

import numpy as np

from marketgpt_core.symbols import Category
from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding
from marketgpt_data_sources.quality.config import QualityConfig

# Candles that say what is usual before a jump.
_BEFORE = 20
_FEWEST_BEFORE = 5
_MOST_LISTED = 3
# A level is computed, not traded: a volatility index may well double overnight.
_NEVER_SPLIT = frozenset({Category.INDEX})
_HALVING = math.log(2)
_MOST_SLACK = 1.5
_NEARLY_HALVING = 0.95 * _HALVING
# Of the gap: a day's range that no news leaves.
_VERY_QUIET = 1 / 8
# Over more than two weeks of missing days a price may get anywhere.
_LONGEST_NIGHT = np.timedelta64(14, "D")


def splits(bars: Bars, config: QualityConfig) -> Finding | None:
    """Find overnight jumps by the ratio of a split, on a day as quiet as any other.

    A crash has such a ratio only by chance, and then trades wildly: its range and its volume give it away.
    Volume is compared in shares and in money, the milder of the two: a split changes one of them at most.
    """
    least = math.log(min(config.split_ratios)) - config.split_tolerance
    ratios = np.log(np.asarray(config.split_ratios))
    at, names = [], []
    for row, gap in _quiet_gaps(bars, least, config.split_range_share, config):
        nearest = int(np.argmin(np.abs(ratios - abs(gap))))
        # Beside a large ratio the night's own move matters less, and ratios lie further apart.
        slack = config.split_tolerance * min(max(abs(gap) / _HALVING, 1.0), _MOST_SLACK)
        if abs(ratios[nearest] - abs(gap)) <= slack:
            at.append(row)
            names.append(_split_name(config.split_ratios[nearest], reverse=gap > 0))
    return _jump_finding("split", bars, at, names)


def jumps(bars: Bars, config: QualityConfig) -> Finding | None:
    """Find other overnight jumps by ``jump_ratio`` or more, on days quieter still."""
    known = splits(bars, config)
    taken = set() if known is None else set(known.at.tolist())
    found = _quiet_gaps(bars, math.log(config.jump_ratio), config.jump_range_share, config)
    others = [(row, gap) for row, gap in found if row not in taken]
    return _jump_finding(
        "jump", bars, [row for row, _ in others], [f"x {math.exp(g):.3g}" for _, g in others]
    )


def _quiet_gaps(
    bars: Bars, least: float, range_share: float, config: QualityConfig
) -> list[tuple[int, float]]:
    """Return (row, log(open / last close)) of the jumps whose candle is quiet, neither wild nor busy."""
    if len(bars) < _FEWEST_BEFORE + 1 or bars.category in _NEVER_SPLIT:
        return []
    gap = np.log(bars.open[1:] / bars.close[:-1])
    rows = np.flatnonzero(np.abs(gap) >= least) + 1
    return [
        (row, float(gap[row - 1]))
        for row in rows.tolist()
        if row >= _FEWEST_BEFORE
        and _is_overnight(bars, row, config)
        and _is_quiet(bars, row, float(gap[row - 1]), range_share, config)
    ]


def _is_overnight(bars: Bars, row: int, config: QualityConfig) -> bool:
    """Return whether the last close is a price of the candle just before, not one of weeks ago."""
    night = max(_LONGEST_NIGHT, 4 * np.timedelta64(bars.interval.duration))
    stale = bars.close[max(row - config.stale_bars, 0) : row]
    is_stale = len(stale) == config.stale_bars and np.ptp(stale) == 0
    return bool(bars.time[row] - bars.time[row - 1] <= night) and not is_stale


def _is_quiet(bars: Bars, row: int, gap: float, range_share: float, config: QualityConfig) -> bool:
    before = slice(max(row - _BEFORE, 0), row)
    usual = float(np.median(np.log(bars.high[before] / bars.low[before])))
    own = math.log(bars.high[row] / bars.low[row])
    if own > range_share * abs(gap) or abs(gap) < config.split_usual_ranges * usual:
        return False
    if own == 0 and abs(gap) < _NEARLY_HALVING:
        return False  # a single trade of something that hardly trades
    if gap < -_NEARLY_HALVING and own < -_VERY_QUIET * gap:
        # Nothing halves on news and then trades quietly, however much of it; a takeover may double so.
        return True
    return not _is_busy(bars, row, before, config.split_burst)


def _is_busy(bars: Bars, row: int, before: slice, burst: float) -> bool:
    shares = float(np.median(bars.volume[before]))
    money = float(np.median(bars.volume[before] * bars.close[before]))
    if shares <= 0 or money <= 0:
        return False
    times = min(bars.volume[row] / shares, bars.volume[row] * bars.close[row] / money)
    return bool(times >= burst)


def _split_name(ratio: float, *, reverse: bool) -> str:
    for parts in (1, 2, 3):
        if abs(ratio * parts - round(ratio * parts)) < 1e-9:  # noqa: PLR2004 - a rounding
            whole = round(ratio * parts)
            return (
                f"1:{whole}"
                if reverse and parts == 1
                else f"{parts}:{whole}"
                if reverse
                else f"{whole}:{parts}"
            )
    return f"1:{ratio:g}" if reverse else f"{ratio:g}:1"


def _jump_finding(check: str, bars: Bars, at: list[int], names: list[str]) -> Finding | None:
    if not at:
        return None
    stamps = [iso(bars.time[row]) for row in at]
    pairs = [f"{name} on {day}" for name, day in zip(names, stamps, strict=True)]
    listed = ", ".join(pairs[:_MOST_LISTED]) + (", ..." if len(pairs) > _MOST_LISTED else "")
    details = {"jumps": [{"at": day, "ratio": name} for name, day in zip(names, stamps, strict=True)]}
    word = {"split": "looks like a split", "jump": "another level"}[check]
    return Finding(check, np.asarray(at, dtype=np.int64), len(at), f"{word}: {listed}", details, len(at))
