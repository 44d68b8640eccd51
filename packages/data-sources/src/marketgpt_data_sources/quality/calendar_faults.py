"""From who was there to issues: gaps and off-session candles, the calendar's own faults told apart.

A day on which four fifths of an exchange's symbols traded although its calendar says closed (or the other
way round) says more about the calendar, or the vendor's whole export, than about any symbol: it is one issue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.times import iso
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.gaps import Attendance, Days
from marketgpt_data_sources.quality.report import Issue

_MOST_DAYS_SHOWN = 3

Placed = tuple[str, Attendance]


def calendar_issues(placed: Sequence[Placed], config: QualityConfig) -> list[Issue]:
    """Return the issues of ``gap`` and ``off-session``.

    Args:
        placed: (where, attendance) of every symbol.
        config: Thresholds.
    """
    by_calendar: dict[str, list[Placed]] = defaultdict(list)
    for where, one in placed:
        by_calendar[one.calendar].append((where, one))
    issues: list[Issue] = []
    for calendar, group in by_calendar.items():
        attendances = [one for _, one in group]
        absent = _common([one.missing[one.known] for one in attendances], attendances, config)
        # Weekends are left to the symbols: no exchange forgets one in its calendar, but vendors shift days.
        extra = [days[np.is_busday(days)] for days in (np.unique(one.extra_days) for one in attendances)]
        present = _common(extra, attendances, config)
        issues += _common_issues(calendar, group, absent, present)
        for where, one in group:
            issues += _gap_issue(where, one, absent, config) + _extra_issue(where, one, present)
    return issues


def _common(of_each: list[Days], all_: list[Attendance], config: QualityConfig) -> Days:
    """Return the days that most symbols with candles around them share, increasing."""
    days, counts = np.unique(np.concatenate(of_each), return_counts=True)
    firsts, lasts = np.sort([one.first for one in all_]), np.sort([one.last for one in all_])
    spanning = np.searchsorted(firsts, days, side="right") - np.searchsorted(lasts, days, side="left")
    shared = (spanning >= config.common_symbols) & (counts >= config.common_share * spanning)
    return np.asarray(days[shared])


def _common_issues(calendar: str, group: list[Placed], absent: Days, present: Days) -> list[Issue]:
    issues = []
    for check, days, words in (("gap", absent, "no candle on"), ("off-session", present, "candles on")):
        if not len(days):
            continue
        touched = [
            (where, one)
            for where, one in group
            if np.isin(days, one.missing if check == "gap" else one.extra_days).any()
        ]
        listed = ", ".join(map(str, days[:_MOST_DAYS_SHOWN])) + (
            ", ..." if len(days) > _MOST_DAYS_SHOWN else ""
        )
        number = "1 day" if len(days) == 1 else f"{len(days)} days"
        fault = (
            f"{number}: {words} {listed}: most symbols agree, so the calendar or the whole export is wrong"
        )
        details = {
            "symbols": [one.symbol for _, one in touched],
            "days": [str(day) for day in days],
            "calendar": calendar,
        }
        symbol = f"{calendar} ({len(touched)} symbols)"
        issues.append(
            Issue(touched[0][0], symbol, check, fault, len(days), (), str(days[0]), details, float("inf"))
        )
    return issues


def _gap_issue(where: str, one: Attendance, common: Days, config: QualityConfig) -> list[Issue]:
    own = ~(one.known & np.isin(one.missing, common))
    holes = [hole for hole in _runs(one, own) if len(hole) >= _fewest(one, hole, config)]
    if not holes:
        return []
    longest = max(holes, key=len)
    total = sum(map(len, holes))
    first = ", ".join(str(one.missing[hole[0]]) for hole in holes[:_MOST_DAYS_SHOWN])
    fault = (
        f"{total:,} of {one.required:,} sessions of {one.calendar} missing, "
        f"longest {len(longest)} from {one.missing[longest[0]]}; holes at {first}"
        + (", ..." if len(holes) > _MOST_DAYS_SHOWN else "")
    )
    judged = all(one.known[hole].all() for hole in holes)
    if not judged:
        fault += "; weekdays only: no calendar is published there, holidays may be among them"
    details = {
        "missing": total,
        "required": one.required,
        "longest": len(longest),
        "longest_from": str(one.missing[longest[0]]),
        "holes": [[str(one.missing[hole[0]]), len(hole)] for hole in holes],
        "calendar": one.calendar,
        "calendar_is_published": judged,
    }
    rows = tuple(int(one.next_row[hole[-1]]) for hole in holes)
    first_day = iso(one.missing[holes[0][0]])
    return [Issue(where, one.symbol, "gap", fault, total, rows, first_day, details, float(len(longest)))]


def _runs(one: Attendance, own: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the holes, as positions in ``missing``: neighbouring sessions without a candle.

    A session missing for everybody may lie inside a hole, but makes none.
    """
    if not len(one.missing):
        return []
    cuts = np.flatnonzero(np.diff(one.order) > 1) + 1
    return [run for run in np.split(np.arange(len(one.missing)), cuts) if own[run].any()]


def _fewest(one: Attendance, hole: NDArray[np.int64], config: QualityConfig) -> int:
    return config.gap_sessions if one.known[hole].all() else config.weekday_gap_sessions


def _extra_issue(where: str, one: Attendance, common: Days) -> list[Issue]:
    own = ~np.isin(one.extra_days, common)
    if not own.any():
        return []
    rows, time = one.extra_rows[own], one.extra_time[own]
    listed = ", ".join(iso(stamp) for stamp in time[:_MOST_DAYS_SHOWN])
    more = ", ..." if len(time) > _MOST_DAYS_SHOWN else ""
    noun = "candle" if len(time) == 1 else "candles"
    fault = f"{len(time):,} {noun} while {one.calendar} is closed: {listed}{more}"
    details = {"stamps": [iso(stamp) for stamp in time], "calendar": one.calendar}
    return [
        Issue(
            where,
            one.symbol,
            "off-session",
            fault,
            len(time),
            tuple(rows.tolist()),
            iso(time[0]),
            details,
            float(len(time)),
        )
    ]
