"""Wrong levels on purpose, and real moves that look like them and are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from marketgpt_data_sources import QualityConfig, verify

PRICES = ["open", "high", "low", "close"]
Frames = Callable[..., pd.DataFrame]


def _found(frame: pd.DataFrame, **thresholds: object) -> dict[str, tuple[int, ...]]:
    config = QualityConfig(skip=("gap", "off-session"), **thresholds)  # type: ignore[arg-type]
    return {issue.check: issue.rows for issue in verify(frame, config=config).issues}


@pytest.fixture
def days() -> pd.DataFrame:
    """Forty quiet days around 100: a range of two percent, volume 1,000."""
    close = 100 + np.sin(np.arange(40)) / 2
    columns = {"open": close - 0.2, "high": close + 1, "low": close - 1, "close": close, "volume": 1000.0}
    return pd.DataFrame({"symbol": "AAA", "time": pd.bdate_range("2024-01-01", periods=40), **columns})


def _day(frame: pd.DataFrame, row: int, *ohlc: float, volume: float) -> pd.DataFrame:
    """Put one day at a row, and the days after it on the level of its close."""
    after = frame.copy()
    after.loc[row + 1 :, PRICES] *= ohlc[-1] / frame["close"].iloc[row]
    after.loc[row, [*PRICES, "volume"]] = [*ohlc, volume]
    return after


def test_a_split_is_named_and_its_inverse(days: pd.DataFrame) -> None:
    halved = days.copy()
    halved.loc[25:, PRICES] /= 2
    (issue,) = verify(halved).issues
    assert (issue.check, issue.rows, issue.first) == ("split", (25,), "2024-02-05")
    assert issue.fault == "looks like a split: 2:1 on 2024-02-05"
    assert issue.details == {"jumps": [{"at": "2024-02-05", "ratio": "2:1"}]}
    halved[PRICES] = 1 / halved[["open", "low", "high", "close"]].to_numpy()
    assert verify(halved).issues[0].fault == "looks like a split: 1:2 on 2024-02-05"


@pytest.mark.parametrize(
    ("ratio", "name"),
    [(1.5, "3:2"), (4 / 3, "4:3"), (2.5, "5:2"), (2 / 3, "2:3"), (0.1, "1:10"), (20, "20:1")],
)
def test_names_of_ratios(days: pd.DataFrame, ratio: float, name: str) -> None:
    days.loc[25:, PRICES] /= ratio
    assert verify(days).issues[0].details["jumps"][0]["ratio"] == name


@pytest.mark.parametrize("volume_times", [0.0, 0.5, 1.0, 2.0])
def test_volume_may_jump_with_a_split_or_not_or_be_missing(days: pd.DataFrame, volume_times: float) -> None:
    days.loc[25:, PRICES] /= 2
    days.loc[25:, "volume"] *= volume_times
    assert _found(days) == {"split": (25,)}
    assert _found(days.assign(volume=0.0)) == {"split": (25,)}


@pytest.mark.parametrize(
    ("ohlc", "volume"),
    [
        # Shapes of real days, as multiples of the last close; prices and volumes are made up.
        ((0.50, 0.53, 0.42, 0.46), 7_000),  # halves at the open and goes on falling, much traded
        ((0.50, 0.51, 0.49, 0.50), 700),  # ... quiet: this one is a split
        ((0.67, 0.68, 0.60, 0.61), 12_000),  # two thirds after a warning
        ((0.66, 0.70, 0.65, 0.68), 9_000),
        ((1.50, 1.55, 1.42, 1.48), 10_000),  # a bid for the company
        ((1.51, 1.52, 1.50, 1.51), 20_000),  # ... pinned to the price of the bid
        ((2.00, 2.02, 1.99, 2.00), 30_000),  # ... of twice the price
        ((1.00, 1.01, 0.48, 0.50), 5_000),  # the fall is inside the day
        ((0.98, 1.02, 0.33, 0.34), 900),  # ... even without much trading
        ((1.00, 5.50, 0.99, 4.60), 20_000),  # a coin that goes up fivefold in a day
    ],
)
def test_crashes_and_bids_are_no_splits(days: pd.DataFrame, ohlc: tuple[float, ...], volume: float) -> None:
    last = days["close"].iloc[24]
    found = _found(_day(days, 25, *(last * price for price in ohlc), volume=volume))
    is_split = (ohlc, volume) == ((0.50, 0.51, 0.49, 0.50), 700)
    assert found == ({"split": (25,)} if is_split else {})


def test_an_index_may_double_overnight(days: pd.DataFrame) -> None:
    days.loc[25:, PRICES] *= 2
    assert _found(days.assign(category="index")) == {}
    assert _found(days.assign(category="us")) == {"split": (25,)}


def test_after_weeks_without_a_candle_a_price_may_be_anywhere(days: pd.DataFrame) -> None:
    days.loc[25:, PRICES] /= 2
    days.loc[25:, "time"] += pd.Timedelta(days=28)
    assert _found(days) == {}


def test_a_level_of_no_ratio_is_a_jump(days: pd.DataFrame) -> None:
    days.loc[25:, PRICES] *= 2.2
    (issue,) = verify(days).issues
    assert (issue.check, issue.rows) == ("jump", (25,))
    assert issue.fault.startswith("another level: x 2.2 on 2024-02-05")
    assert _found(days, jump_ratio=3.0) == {}


@pytest.mark.parametrize("column", PRICES)
def test_one_price_ten_times_too_high_is_a_spike(days: pd.DataFrame, column: str) -> None:
    days.loc[20, column] *= 10
    days.loc[20, "high"] = days.loc[20, PRICES].max()
    days.loc[20, "low"] = days.loc[20, PRICES].min()
    assert _found(days) == {"spike": (20,)}


@pytest.mark.parametrize(("length", "expected"), [(1, True), (3, True), (4, False)])
def test_a_stretch_ten_times_too_high_is_a_spike_if_it_reverts_soon(
    days: pd.DataFrame, length: int, *, expected: bool
) -> None:
    rows = range(20, 20 + length)
    days.loc[rows, PRICES] /= 10
    found = _found(days)
    assert found == ({"spike": tuple(rows)} if expected else {"split": (20, 20 + length)})


def test_two_spikes_side_by_side_and_on_opposite_sides(days: pd.DataFrame) -> None:
    days.loc[20, PRICES] *= 10
    days.loc[22, PRICES] /= 10
    assert _found(days) == {"spike": (20, 22)}
    days.loc[21, PRICES] *= 100
    assert _found(days) == {"spike": (20, 21, 22)}


def test_a_spike_needs_both_neighbours(days: pd.DataFrame) -> None:
    days.loc[0, PRICES] *= 10
    days.loc[39, PRICES] *= 10
    assert "spike" not in _found(days)


def test_a_threefold_wick_is_none(days: pd.DataFrame) -> None:
    days.loc[20, "low"] /= 3
    assert _found(days) == {}
    assert _found(days, spike_ratio=2.5) == {"spike": (20,)}


def test_spikes_are_sought_among_sound_rows_only(days: pd.DataFrame) -> None:
    days.loc[20, PRICES] *= 10
    days.loc[21, "close"] = np.nan
    days = pd.concat([days[:20], days[30:31].assign(open=99.9), days[20:]], ignore_index=True)
    assert _found(days) == {
        "not-finite": (22,),
        "duplicate-differing": (20, 31),
        "disorder": tuple(range(21, 31)),
        "spike": (21,),
    }


@pytest.mark.parametrize(("length", "expected"), [(9, False), (10, True), (11, True)])
def test_stale_runs_are_ten_long(days: pd.DataFrame, length: int, *, expected: bool) -> None:
    days.loc[range(15, 15 + length), PRICES] = days.loc[15, PRICES].to_numpy(dtype=float)
    days["volume"] = np.arange(40.0)
    assert _found(days) == ({"stale": tuple(range(15, 15 + length))} if expected else {})


def test_stale_runs_are_counted_one_by_one(days: pd.DataFrame) -> None:
    for start, length in ((2, 10), (20, 12)):
        days.loc[range(start, start + length), PRICES] = days.loc[start, PRICES].to_numpy(dtype=float)
    (issue,) = verify(days).issues
    assert issue.fault == "2 stale runs, longest 12 candles from 2024-01-29"
    assert issue.details == {"runs": [["2024-01-03", 10], ["2024-01-29", 12]]}


def test_levels_are_judged_after_adjusting(days: pd.DataFrame) -> None:
    """An unadjusted file is no fault where the adjusted close makes it good, and a wrong one is."""
    adjusted = days["close"].copy()
    days.loc[:24, PRICES] *= 2
    assert _found(days.assign(adj_close=adjusted)) == {}
    wrong = adjusted.copy()
    wrong[30] *= 10
    assert _found(days.assign(adj_close=wrong)) == {"spike": (30,)}
