"""Prices on a wrong level: spikes that revert, splits, other jumps, and prices that stand still."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.symbols import Category
from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding
from marketgpt_data_sources.quality.config import QualityConfig

Mask = NDArray[np.bool_]

# Candles that say what is usual before a jump.
_BEFORE = 20
_FEWEST_BEFORE = 5
_MOST_LISTED = 3
# A level is computed, not traded: a volatility index may well double overnight.
_NEVER_SPLIT = frozenset({Category.INDEX})
_HALVING = math.log(2)
# Over more than two weeks of missing days a price may get anywhere.
_LONGEST_NIGHT = np.timedelta64(14, "D")


def spikes(bars: Bars, config: QualityConfig) -> Mask:
    """Return the rows with a price ``spike_ratio`` times too high or low that comes back; shape (T,).

    Two forms. A whole stretch: the open leaves the last close by the ratio, and another open comes back by
    it within ``spike_bars`` candles. One price: it differs by the ratio from the median, over the last
    close, the candle's open and close, and the next open. A move that stays on its new level is neither.
    """
    found = np.zeros(len(bars), dtype=bool)
    if len(bars) < 3:  # noqa: PLR2004 - before, spike, after
        return found
    limit = math.log(config.spike_ratio)
    open_, high, low, close = (np.log(price) for price in bars.prices)
    gap = open_[1:] - close[:-1]
    leaps = np.flatnonzero(np.abs(gap) >= limit) + 1
    for out, back in pairwise(leaps.tolist()):
        if back - out <= config.spike_bars and gap[out - 1] * gap[back - 1] < 0:
            found[out:back] = True
    around = np.sort(np.stack([close[:-2], open_[1:-1], close[1:-1], open_[2:]]), axis=0)
    level = (around[1] + around[2]) / 2
    far = np.maximum(high[1:-1] - level, level - low[1:-1]) >= limit
    # Beside a stretch on another level, the level itself is in doubt.
    far &= ~(found[:-2] | found[2:])
    found[1:-1] |= far
    return found


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
        # The night's own move grows beside the ratio: 4 % of a halving, 13 % of 10:1.
        if abs(ratios[nearest] - abs(gap)) <= config.split_tolerance * max(1.0, abs(gap) / _HALVING):
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
        if row >= _FEWEST_BEFORE and _is_quiet(bars, row, float(gap[row - 1]), range_share, config)
    ]


def _is_quiet(bars: Bars, row: int, gap: float, range_share: float, config: QualityConfig) -> bool:
    before = slice(max(row - _BEFORE, 0), row)
    usual = float(np.median(np.log(bars.high[before] / bars.low[before])))
    own = math.log(bars.high[row] / bars.low[row])
    if own > range_share * abs(gap) or abs(gap) < config.split_usual_ranges * usual:
        return False
    night = max(_LONGEST_NIGHT, 4 * np.timedelta64(bars.interval.duration))
    if bars.time[row] - bars.time[row - 1] > night:
        return False  # prices had time to get there
    if own == 0 and abs(gap) < _HALVING * 0.95:
        return False  # a single trade of something that hardly trades
    if gap < -_HALVING * 0.95 and own < -gap / 8:
        # Nothing halves on news and then trades quietly, however much of it; a takeover may double so.
        return True
    shares = float(np.median(bars.volume[before]))
    money = float(np.median(bars.volume[before] * bars.close[before]))
    if shares <= 0 or money <= 0:
        return True
    times = min(bars.volume[row] / shares, bars.volume[row] * bars.close[row] / money)
    return bool(times < config.split_burst)


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
    listed = ", ".join(f"{name} on {day}" for name, day in zip(names, stamps, strict=True))
    if len(at) > _MOST_LISTED:
        listed = (
            ", ".join(f"{name} on {day}" for name, day in list(zip(names, stamps, strict=True))[:3]) + ", ..."
        )
    details = {"jumps": [{"at": day, "ratio": name} for name, day in zip(names, stamps, strict=True)]}
    word = {"split": "looks like a split", "jump": "another level"}[check]
    return Finding(check, np.asarray(at, dtype=np.int64), len(at), f"{word}: {listed}", details, len(at))


def stale_runs(bars: Bars, config: QualityConfig) -> Finding | None:
    """Find runs of ``stale_bars`` or more candles with the same open, high, low and close."""
    if len(bars) < config.stale_bars:
        return None
    same = np.ones(len(bars) - 1, dtype=bool)
    for price in bars.prices:
        same &= price[1:] == price[:-1]
    edges = np.diff(np.concatenate([[0], same.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = ends - starts + 1
    long = lengths >= config.stale_bars
    if not long.any():
        return None
    starts, lengths = starts[long], lengths[long]
    at = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    worst = int(np.argmax(lengths))
    first = iso(bars.time[starts[worst]])
    details = {
        "runs": [[iso(bars.time[s]), int(n)] for s, n in zip(starts, lengths, strict=True)],
    }
    noun = "run" if len(starts) == 1 else "runs"
    text = f"{len(starts)} stale {noun}, longest {lengths[worst]} candles from {first}"
    return Finding("stale", at, len(at), text, details, float(lengths[worst]))
