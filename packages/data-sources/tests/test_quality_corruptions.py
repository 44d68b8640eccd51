"""A clean frame is never blamed, and what is broken in it is found: by the right check, at the right rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core.interval import Interval
from marketgpt_data_sources import clean, verify
from marketgpt_data_sources.quality import CHECKS, Severity

SYMBOL = "AAA"
NOON_LATER = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Half days, lunch, a week from Sunday on, nights, no night at all, and none published.
CALENDARS = ("XNYS", "XLON", "XTKS", "XBOM", "XSAU", "CMES", "24/5", "24/7", "weekdays")

Frames = Callable[..., pd.DataFrame]
few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10_000)
places = st.floats(0, 1, exclude_max=True)


def _found(
    frame: pd.DataFrame, calendar: str = "XNYS", interval: Interval = Interval.DAY, **options: object
) -> dict[str, tuple[int, ...]]:
    report = verify(frame, interval=interval, calendars={SYMBOL: calendar}, **options)  # type: ignore[arg-type]
    return {issue.check: issue.rows for issue in report.issues}


@given(
    calendar=st.sampled_from(CALENDARS),
    interval=st.sampled_from(list(Interval)),
    law=st.sampled_from(["random_walk", "garch_t"]),
    seed=seeds,
    first_year=st.integers(2003, 2019),
)
@settings(few, max_examples=40)
def test_a_clean_frame_is_never_blamed(
    clean_frame: Frames, *, calendar: str, interval: Interval, law: str, seed: int, first_year: int
) -> None:
    frame = clean_frame(calendar, interval, seed=seed, law=law, first_year=first_year)
    assert _found(frame, calendar, interval, now=NOON_LATER) == {}
    cleaned = clean(frame, interval=interval, calendars={SYMBOL: calendar}, now=NOON_LATER, series=True)
    assert cleaned.report.is_clean
    assert len(cleaned.quarantined) == 0
    assert len(cleaned.candles[SYMBOL]) == len(frame)


@pytest.mark.slow
@pytest.mark.parametrize("calendar", [*CALENDARS, "XHKG", "XSHG", "BVMF", "XJSE", "XKRX", "XETR", "IEPA"])
@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("law", ["random_walk", "garch_t"])
def test_long_clean_frames_are_never_blamed(
    clean_frame: Frames, calendar: str, interval: Interval, law: str
) -> None:
    for seed in range(3):
        frame = clean_frame(
            calendar,
            interval,
            seed=seed,
            law=law,
            num_candles=700 if interval is Interval.WEEK else 4_000,
            first_year=2008,
        )
        assert _found(frame, calendar, interval, now=NOON_LATER) == {}


Corrupt = Callable[[pd.DataFrame, int, np.random.Generator], tuple[pd.DataFrame, set[int]]]
PRICES = ["open", "high", "low", "close"]


def _not_finite(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    frame.loc[row, rng.choice(PRICES)] = rng.choice([np.nan, np.inf, -np.inf])
    return frame, {row}


def _not_positive(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    frame.loc[row, rng.choice(PRICES)] = rng.choice([0.0, -1.0, -1e-9])
    return frame, {row}


def _impossible(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    open_, close = frame.loc[row, "open"], frame.loc[row, "close"]
    if rng.random() < 0.5:
        frame.loc[row, "high"] = max(open_, close) * 0.9999
    else:
        frame.loc[row, "low"] = min(open_, close) * 1.0001
    return frame, {row}


def _bad_volume(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    frame.loc[row, "volume"] = rng.choice([-1.0, np.inf])
    return frame, {row}


def _no_date(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    frame.loc[row, "time"] = pd.NaT
    return frame, {row}


def _bad_adjustment(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    frame["adj_close"] = frame["close"] * 0.5
    frame.loc[row, "adj_close"] = rng.choice([np.nan, 0.0, -1.0, np.inf])
    return frame, {row}


def _repeat(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, int]:
    at = int(rng.integers(row + 1, len(frame) + 1))
    return pd.concat([frame[:at], frame[row : row + 1], frame[at:]], ignore_index=True), at


def _duplicate_equal(
    frame: pd.DataFrame, row: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, set[int]]:
    repeated, at = _repeat(frame, row, rng)
    return repeated, {at}


def _duplicate_differing(
    frame: pd.DataFrame, row: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, set[int]]:
    repeated, at = _repeat(frame, row, rng)
    repeated.loc[at, rng.choice(["high", "volume"])] *= 1.01
    return repeated, {row, at}


def _disorder(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    at = int(rng.integers(row + 1, len(frame)))
    moved = [*range(row), *range(row + 1, at + 1), row, *range(at + 1, len(frame))]
    return frame.iloc[moved].reset_index(drop=True), {at}


def _spike(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    times = float(rng.choice([10, 100, 1000, 0.1, 0.01]))
    rows = list(range(row, row + int(rng.integers(1, 4))))
    kind = rng.choice(["all", *PRICES])
    if kind == "all":
        frame.loc[rows, PRICES] *= times
        return frame, set(rows)
    times = {"high": max(times, 1 / times), "low": min(times, 1 / times)}.get(kind, times)
    frame.loc[row, kind] *= times
    frame.loc[row, "high"] = frame.loc[row, PRICES].max()
    frame.loc[row, "low"] = frame.loc[row, PRICES].min()
    return frame, {row}


def _ordinary_day(frame: pd.DataFrame, row: int) -> int:
    """Return the next row without a move of its own: 4:3 on a day that fell by 7 % is beyond telling."""
    gap = np.abs(np.log(frame["open"] / frame["close"].shift()))
    day = np.log(frame["high"] / frame["low"])
    ordinary = ((gap < 0.03) & (day < 0.05)).to_numpy()
    return row + int(np.argmax(ordinary[row:]))


def _split(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    row = _ordinary_day(frame, row)
    ratio = float(rng.choice([4 / 3, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 50, 100]))
    ratio = ratio if rng.random() < 0.7 else 1 / ratio
    frame.loc[:row, PRICES] *= ratio
    frame.loc[row, PRICES] /= ratio
    if rng.random() < 0.7:
        frame.loc[: row - 1, "volume"] /= ratio
    return frame, {row}


def _jump(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    # Geometric means of neighbouring split ratios.
    row = _ordinary_day(frame, row)
    ratio = float(rng.choice([2.236, 5.477, 8.944, 17.32, 34.64, 70.71]))
    frame.loc[row:, PRICES] *= ratio if rng.random() < 0.5 else 1 / ratio
    return frame, {row}


def _stale(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    rows = range(row, row + int(rng.integers(10, 30)))
    frame.loc[rows, PRICES] = frame.loc[row, PRICES].to_numpy(dtype=float)
    return frame, set(rows)


def _gap(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    return frame.drop(index=range(row, row + int(rng.integers(1, 12)))).reset_index(drop=True), {row}


def _off_session(frame: pd.DataFrame, row: int, rng: np.random.Generator) -> tuple[pd.DataFrame, set[int]]:
    after = frame["time"].diff() > pd.Timedelta(days=1)
    at = int(rng.choice(np.flatnonzero(after[row:])[:3])) + row
    extra = frame.iloc[[at]].assign(time=frame["time"].iloc[at - 1] + pd.Timedelta(days=1))
    return pd.concat([frame[:at], extra, frame[at:]], ignore_index=True), {at}


CORRUPTIONS: dict[str, Corrupt] = {
    "not-finite": _not_finite,
    "not-positive": _not_positive,
    "impossible": _impossible,
    "bad-volume": _bad_volume,
    "no-date": _no_date,
    "bad-adjustment": _bad_adjustment,
    "duplicate-equal": _duplicate_equal,
    "duplicate-differing": _duplicate_differing,
    "disorder": _disorder,
    "spike": _spike,
    "split": _split,
    "jump": _jump,
    "stale": _stale,
    "gap": _gap,
    "off-session": _off_session,
}
# A row that is put aside leaves its session without a candle; a whole spike of three leaves three.
LEAVES_A_GAP = {name for name in CORRUPTIONS if CHECKS[name].severity is not Severity.REPORT}


def _is_found(frame: pd.DataFrame, check: str, seed: int, place: float) -> None:
    row = 25 + int(place * (len(frame) - 60))
    broken, rows = CORRUPTIONS[check](frame, row, np.random.default_rng(seed))
    found = _found(broken)
    assert set(found[check]) == rows
    others = set(found) - {check}
    if check in LEAVES_A_GAP - {"duplicate-equal"}:
        others -= {"gap"}
    if check.startswith("duplicate"):
        others -= {"disorder"}  # the copy stands after its successors
    assert others == set()


@pytest.mark.parametrize("check", sorted(CORRUPTIONS))
@given(seeds, places)
@few
def test_every_corruption_is_found_at_its_rows_and_nothing_else(
    clean_frame: Frames, check: str, seed: int, place: float
) -> None:
    _is_found(clean_frame(seed=seed % 50), check, seed, place)


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted(CORRUPTIONS))
@given(seeds, places)
@settings(few, max_examples=150)
def test_many_corruptions_are_found(clean_frame: Frames, check: str, seed: int, place: float) -> None:
    _is_found(clean_frame(seed=seed % 50), check, seed, place)


@pytest.mark.parametrize("check", sorted(LEAVES_A_GAP))
@given(seeds, places)
@few
def test_clean_puts_aside_just_the_bad_rows_unchanged(
    clean_frame: Frames, check: str, seed: int, place: float
) -> None:
    frame = clean_frame(seed=seed % 50)
    row = 25 + int(place * (len(frame) - 60))
    broken, rows = CORRUPTIONS[check](frame, row, np.random.default_rng(seed))
    cleaned = clean(broken, interval=Interval.DAY, calendars={SYMBOL: "XNYS"})
    aside = cleaned.quarantined
    assert set(aside["row"]) == rows
    assert set(aside["reason"]) == {check}
    columns = [name for name in ("time", *PRICES, "volume", "adj_close") if name in broken]
    pd.testing.assert_frame_equal(
        aside[columns], broken.loc[sorted(rows), columns].reset_index(drop=True), check_dtype=False
    )
    kept = broken.drop(index=list(rows)).sort_values("time")
    adjustment = kept["adj_close"] / kept["close"] if "adj_close" in kept else 1.0
    series = cleaned.candles[SYMBOL]
    np.testing.assert_array_equal(series.time, kept["time"].to_numpy().astype("datetime64[ns]"))
    np.testing.assert_array_equal(series.low, (kept["low"] * adjustment).to_numpy())
