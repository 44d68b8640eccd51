from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.errors import CandleError, DataError
from marketgpt_data_sources import load_candles, open_source, verify

GOOD = {
    "symbol": ["AAA"] * 5,
    "date": ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"],
    "open": [10.0] * 5,
    "high": [12.0] * 5,
    "low": [9.0] * 5,
    "close": [11.0] * 5,
    "volume": [100.0] * 5,
}


def _with(**changes: object) -> pd.DataFrame:
    return pd.DataFrame({**GOOD, **changes})


def _found(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    return {issue.check: issue.rows for issue in verify(frame).issues}


def test_sound_candles_are_clean() -> None:
    report = verify(pd.DataFrame(GOOD))
    assert report.is_clean
    assert (report.num_rows, report.num_symbols) == (5, 1)


@pytest.mark.parametrize(
    ("changes", "check", "rows"),
    [
        ({"close": [11.0, np.nan, 11.0, 11.0, 11.0]}, "not-finite", (1,)),
        ({"high": [12.0, 12.0, np.inf, 12.0, 12.0]}, "not-finite", (2,)),
        ({"low": [0.0, 9.0, 9.0, -1.0, 9.0]}, "not-positive", (0, 3)),
        ({"high": [12.0, 12.0, 12.0, 12.0, 10.5]}, "impossible", (4,)),
        ({"low": [9.0, 10.5, 9.0, 9.0, 9.0]}, "impossible", (1,)),
        ({"volume": [100.0, -1.0, 0.0, np.nan, 1.0]}, "bad-volume", (1,)),
        (
            {"date": ["2024-03-04", "2024-03-05", "2024-03-05", "2024-03-05", "2024-03-08"]},
            "duplicate-equal",
            (2, 3),
        ),
        (
            {"date": ["2024-03-04", "2024-03-05", "2024-03-04", "2024-03-07", "2024-03-08"]},
            "disorder",
            (2,),
        ),
        ({"date": ["2024-03-04", None, "2024-03-06", "2024-03-07", "2024-03-08"]}, "no-date", (1,)),
    ],
)
def test_each_fault_and_its_rows(changes: dict[str, object], check: str, rows: tuple[int, ...]) -> None:
    assert _found(_with(**changes))[check] == rows


def test_repetitions_that_differ_are_worse_than_equal_ones() -> None:
    dates = ["2024-03-04", "2024-03-05", "2024-03-05", "2024-03-08", "2024-03-08"]
    found = _found(_with(date=dates, close=[11.0, 11.0, 11.5, 11.0, 11.0]))
    assert found == {
        "duplicate-equal": (4,),
        "duplicate-differing": (1, 2),
    }


def test_everything_verify_finds_the_candles_refuse_or_sort() -> None:
    from marketgpt_core.candles import Candles

    broken = _with(close=[11.0, np.nan, 11.0, 11.0, 11.0])
    assert not verify(broken).is_clean
    with pytest.raises(CandleError):
        Candles.from_frame(broken)


def test_symbols_are_looked_at_apart() -> None:
    both = pd.concat([pd.DataFrame(GOOD), _with(symbol=["BBB"] * 5, low=[9.0, 9.0, 0.0, 9.0, 9.0])])
    report = verify(both.reset_index(drop=True))
    assert [(issue.symbol, issue.rows, issue.first) for issue in report.issues] == [
        ("BBB", (7,), "2024-03-06")
    ]
    assert report.num_symbols == 2


def test_a_source_is_looked_at_before_it_refuses(tmp_path: Path) -> None:
    _with(high=[12.0, 1.0, 12.0, 12.0, 12.0], symbol=["AAA", "AAA", "BBB", "BBB", "BBB"]).to_csv(
        tmp_path / "long.csv", index=False
    )
    with pytest.raises(CandleError):
        load_candles(f"csv:{tmp_path}")
    issues = verify(open_source(f"csv:{tmp_path}")).issues
    assert [(i.where, i.symbol, i.check, i.rows, i.first) for i in issues] == [
        (str(tmp_path / "long.csv"), "AAA", "impossible", (1,), "2024-03-05")
    ]
    assert verify(open_source(f"csv:{tmp_path}"), symbols=["BBB"]).is_clean


def test_adjusting_does_not_hide_a_fault(tmp_path: Path) -> None:
    frame = _with(high=[12.0, 1.0, 12.0, 12.0, 12.0]).drop(columns="symbol")
    frame["Adj Close"] = 5.0
    frame.to_csv(tmp_path / "AAA.csv", index=False)
    assert not verify(open_source(f"csv:{tmp_path}")).is_clean


def test_a_checked_source_is_clean_and_symbols_can_be_named() -> None:
    report = verify(open_source("synthetic"), symbols=["SYN001"])
    assert (report.is_clean, report.num_symbols, report.num_rows) == (True, 1, 2000)


def test_candles_and_one_symbol_frames(make_candles) -> None:
    assert verify(make_candles()).num_rows == 600
    assert verify(pd.DataFrame(GOOD).drop(columns="symbol"), symbol="AAA").is_clean


def test_a_frame_of_another_shape_is_an_error() -> None:
    with pytest.raises(DataError, match="frame has none of open, high, low, close"):
        verify(pd.DataFrame({"date": ["2024-03-04"], "price": [1.0]}))


def test_text_of_an_issue() -> None:
    issue = verify(_with(low=[0.0] * 5)).issues[0]
    assert str(issue) == "AAA: 5 x price is zero or negative (rows 0, 1, 2, 3, 4; first 2024-03-04)"
