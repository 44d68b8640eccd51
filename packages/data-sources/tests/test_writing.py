from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import RunError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import load_candles
from marketgpt_data_sources.writing import write_parquet


def test_reads_back_to_the_same_fingerprint(tmp_path: Path, make_candles) -> None:
    candles = make_candles(["AAA", "^IDX", "EURUSD=X"], category=Category.EM)
    paths = write_parquet(candles, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["AAA.parquet", "^IDX.parquet", "EURUSD=X.parquet"]
    assert load_candles(f"parquet:{tmp_path}/new/folder").fingerprint() == candles.fingerprint()


def test_days_and_hours_of_a_symbol_live_side_by_side(tmp_path: Path) -> None:
    times = pd.date_range("2024-03-04", periods=30, freq="h")
    prices = dict.fromkeys(["open", "high", "low", "close"], 10.0)
    hours = pd.DataFrame({"symbol": "AAA", "time": times, **prices})
    hours.to_csv(tmp_path / "hours.csv", index=False)
    loaded = load_candles(f"csv:{tmp_path}", interval=Interval.HOUR)
    out = tmp_path / "out"
    assert [path.name for path in write_parquet(loaded, out)] == ["AAA.1h.parquet"]
    days = hours.iloc[[0]].assign(time=pd.DatetimeIndex(["2024-03-04"]))
    days.to_csv(tmp_path / "out" / "days.csv", index=False)
    write_parquet(load_candles(f"csv:{out}"), out)
    assert len(load_candles(f"parquet:{out}")["AAA"]) == 1
    assert load_candles(f"parquet:{out}", interval=Interval.HOUR).fingerprint() == loaded.fingerprint()


def test_a_file_says_its_interval(tmp_path: Path, make_candles) -> None:
    # One candle has no distance to a neighbour: nothing else tells that it is a week.
    days = make_candles(["AAA"], num_candles=1)
    week = Candles([replace(days["AAA"], interval=Interval.WEEK)])
    write_parquet(week, tmp_path)
    assert load_candles(f"parquet:{tmp_path}", interval=Interval.WEEK).fingerprint() == week.fingerprint()


def test_an_old_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, make_candles) -> None:
    write_parquet(make_candles(["AAA"], seed=1), tmp_path)
    newer = make_candles(["AAA"], seed=2)
    write_parquet(newer, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["AAA.parquet"]
    assert load_candles(f"parquet:{tmp_path}").fingerprint() == newer.fingerprint()


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path, make_candles) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="cannot write to the folder"):
        write_parquet(make_candles(["AAA"]), tmp_path / "taken")
