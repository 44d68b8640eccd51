from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import CandleError, ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import open_source
from marketgpt_data_sources.quality import verify
from marketgpt_data_sources.sources.folder import FolderSource
from marketgpt_data_sources.testing import DataSourceConformance

MakeCandles = Callable[..., Candles]

AAA = """Date,Open,High,Low,Close,Adj Close,Volume
2024-03-04,10,12,9,11,5.5,100
2024-03-05,11,13,10,12,6.0,200
"""


def _open(kind: str, folder: Path, **options: object) -> FolderSource:
    source = open_source(f"{kind}:{folder}", options)
    assert isinstance(source, FolderSource)
    return source


def _frame(
    symbol: str = "AAA", *, freq: str = "D", periods: int = 40, start: str = "2024-03-04"
) -> pd.DataFrame:
    times = pd.date_range(start, periods=periods, freq=freq)
    close = 100.0 + np.arange(periods)
    return pd.DataFrame(
        {"symbol": symbol, "date": times, "open": close, "high": close + 1, "low": close - 1, "close": close}
    )


@pytest.fixture(params=["csv", "parquet"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def save(kind: str, tmp_path: Path) -> Callable[..., Path]:
    def save(frame: pd.DataFrame, name: str, *, index: bool = False) -> Path:
        path = tmp_path / f"{name}.{kind}"
        if kind == "csv":
            frame.to_csv(path, index=index)
        else:
            frame.to_parquet(path, index=index)
        return path

    return save


class TestIntradayFolder(DataSourceConformance):
    @pytest.fixture
    def implementation(self, tmp_path: Path) -> FolderSource:
        pd.concat([_frame("AAA", freq="h"), _frame("BBB", freq="h")]).to_csv(
            tmp_path / "long.csv", index=False
        )
        return _open("csv", tmp_path)


def test_yahoo_export_is_adjusted_unless_told_not_to(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(AAA)
    series = _open("csv", tmp_path).fetch(["AAA"])["AAA"]
    assert list(series.open) == [5.0, 5.5]
    assert list(series.close) == [5.5, 6.0]
    assert list(series.volume) == [100.0, 200.0]
    assert list(_open("csv", tmp_path, adjust=False).fetch(["AAA"])["AAA"].close) == [11.0, 12.0]


def test_null_rows_of_a_yahoo_export_are_days_without_trading(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(AAA + "2024-03-06,null,null,null,null,null,null\n")
    assert len(_open("csv", tmp_path).fetch(["AAA"])["AAA"]) == 2


def test_a_missing_price_without_adj_close_is_refused(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text("Date,Open,High,Low,Close\n2024-03-04,1,1,1,1\n2024-03-05,,,,\n")
    with pytest.raises(CandleError, match=r"AAA\.csv\): row 1 2024-03-05 price is NaN"):
        _open("csv", tmp_path).fetch(["AAA"])


@pytest.mark.parametrize("tickers_first", [False, True])
def test_wide_form_as_yfinance_saves_it(
    save: Callable[..., Path], tmp_path: Path, kind: str, make_candles: MakeCandles, tickers_first: bool
) -> None:
    candles = make_candles(["AAA", "BBB"], num_candles=30, category=Category.UNKNOWN)
    wide = candles.to_wide()
    save(wide.swaplevel(axis=1).sort_index(axis=1) if tickers_first else wide, "wide", index=True)
    source = _open(kind, tmp_path)
    assert source.symbols() == ("AAA", "BBB")
    assert source.fetch(["AAA", "BBB"]).fingerprint() == candles.fingerprint()


@pytest.mark.parametrize("scale", [1, 1000])
def test_epoch_stamps(save: Callable[..., Path], tmp_path: Path, kind: str, scale: int) -> None:
    frame = _frame(freq="h").drop(columns="symbol")
    frame["timestamp"] = _seconds(frame) * scale
    save(frame, "AAA")
    source = _open(kind, tmp_path)
    assert source.symbols() == ()
    series = source.fetch(["AAA"], start="2024-03-04T10:00", interval=Interval.HOUR)["AAA"]
    assert str(series.time[0]) == "2024-03-04T10:00:00.000000000"


def _seconds(frame: pd.DataFrame) -> pd.Series:
    return (frame.pop("date") - pd.Timestamp(0)) // pd.Timedelta(seconds=1)


def test_column_interval_chooses_the_rows(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    hours = _frame(freq="h").assign(interval="1h")
    others = _frame("BBB").assign(interval="30m")
    save(pd.concat([hours, _frame().assign(interval="1d"), others]), "mixed")
    source = _open(kind, tmp_path)
    assert source.symbols() == source.symbols(Interval.HOUR) == ("AAA",)
    assert str(source.fetch(["AAA"])["AAA"].time[1])[:13] == "2024-03-05T00"
    assert str(source.fetch(["AAA"], interval=Interval.HOUR)["AAA"].time[1])[:13] == "2024-03-04T01"
    with pytest.raises(DataError, match="unknown symbol 'BBB'"):
        source.fetch(["BBB"])


def test_intraday_file_is_skipped_for_days(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    save(_frame("HHH", freq="h"), "hours")
    save(_frame("DDD"), "days")
    source = _open(kind, tmp_path)
    assert source.symbols() == ("DDD",)
    with pytest.raises(DataError, match=r"HHH in .* has no candles at 1d; it has 1h"):
        source.fetch(["HHH"])


def test_a_symbol_at_two_intervals_may_be_in_two_files(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    save(_frame(freq="h"), "hours")
    save(_frame(), "days")
    source = _open(kind, tmp_path)
    assert (
        len(source.fetch(["AAA"])["AAA"]) == len(source.fetch(["AAA"], interval=Interval.HOUR)["AAA"]) == 40
    )


def test_a_symbol_in_two_files_is_refused(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    save(_frame(), "first")
    save(_frame().drop(columns="symbol"), "AAA")
    expected = rf"AAA at 1d is in two files of {kind}:.*: AAA\.{kind} and first\.{kind}"
    with pytest.raises(DataError, match=expected):
        _open(kind, tmp_path).symbols()


def test_category_by_column_then_option_then_shape(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    save(_frame("AAA").assign(category="em"), "one")
    save(pd.concat([_frame("BTC-USD"), _frame("BBB")]), "two")
    found = _open(kind, tmp_path).fetch(["AAA", "BTC-USD", "BBB"])
    assert [s.category for s in found.values()] == [Category.EM, Category.CRYPTO, Category.UNKNOWN]
    told = _open(kind, tmp_path, category="eu").fetch(["AAA", "BTC-USD"])
    assert [s.category for s in told.values()] == [Category.EM, Category.EU]


def test_raw_frames_tell_the_category_that_is_known(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    save(_frame("AAA").assign(category="em"), "one")
    save(_frame("BBB"), "two")
    told = {
        frame["symbol"].iloc[0]: frame["category"].unique().tolist()
        for _, frame in _open(kind, tmp_path, category="eu").raw(["AAA", "BBB"])
    }
    assert told == {"AAA": ["em"], "BBB": ["eu"]}
    [(_, frame)] = _open(kind, tmp_path).raw(["BBB"])
    assert "category" not in frame.columns


def test_days_in_a_time_zone_keep_their_date_and_range(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    frame = _frame()
    frame["date"] = frame["date"].dt.tz_localize("America/New_York")
    save(frame, "zoned")
    series = _open(kind, tmp_path).fetch(["AAA"], start="2024-03-10", end="2024-03-12")["AAA"]
    assert [str(t)[:16] for t in series.time] == ["2024-03-10T00:00", "2024-03-11T00:00"]


def test_files_that_hold_no_candles_are_passed_over(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    save(pd.DataFrame({"symbol": ["AAA"], "first": ["2020-01-01"]}), "SYMBOLS")
    with pytest.raises(DataError, match=rf"holds no file of candles .*passed over: SYMBOLS\.{kind}"):
        _open(kind, tmp_path).symbols()
    save(_frame(), "_hidden")
    save(_frame(), ".hidden")
    save(_frame("BBB"), "long")
    assert _open(kind, tmp_path).symbols() == ("BBB",)


def test_impossible_candles_name_file_and_row(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    frame = _frame()
    frame.loc[3, "high"] = 1.0
    path = save(frame, "long")
    with pytest.raises(CandleError) as refused:
        _open(kind, tmp_path).fetch(["AAA"])
    assert str(path) in str(refused.value)
    assert "row 3 2024-03-07 high below open" in str(refused.value)
    assert len(_open(kind, tmp_path, impossible="drop").fetch(["AAA"])["AAA"]) == 39


def test_a_high_one_bit_too_low_is_rounding(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    frame = _frame()
    frame.loc[3, "high"] = np.nextafter(frame.loc[3, "close"], 0)
    save(frame, "long")
    source = _open(kind, tmp_path)
    assert len(source.fetch(["AAA"])["AAA"]) == 40
    assert verify(source).is_clean


def test_the_tickers_na_and_nan_are_tickers(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    save(pd.concat([_frame("NA"), _frame("NAN"), _frame("TRUE"), _frame("1234")]), "long")
    source = _open(kind, tmp_path)
    assert source.symbols() == ("1234", "NA", "NAN", "TRUE")
    assert source.fetch(["NA", "1234"]).symbols == ("NA", "1234")


def test_rows_without_a_symbol_are_refused(save: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    frame = _frame()
    frame.loc[2, "symbol"] = None
    save(frame, "long")
    with pytest.raises(DataError, match=r"long.* has rows without a symbol"):
        _open(kind, tmp_path).symbols()


def test_a_file_name_that_is_no_symbol_is_refused(
    save: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    save(_frame().drop(columns="symbol"), "my prices")
    with pytest.raises(DataError, match="'my prices' is not a symbol"):
        _open(kind, tmp_path).symbols()


def test_one_file_can_be_the_location(save: Callable[..., Path], kind: str) -> None:
    assert _open(kind, save(_frame(), "long")).symbols() == ("AAA",)


def test_folder_errors_are_one_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"source '{kind}' needs a DIR: write {kind}:DIR"):
        open_source(kind).symbols()
    with pytest.raises(DataError, match=r"cannot read the folder .*nowhere: No such file"):
        _open(kind, tmp_path / "nowhere").symbols()
    with pytest.raises(DataError, match="holds no file of candles"):
        _open(kind, tmp_path).symbols()


def test_truncated_parquet_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "AAA.parquet"
    _frame().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot read .*AAA\.parquet as Parquet: ") as refused:
        _open("parquet", tmp_path).fetch(["AAA"])
    assert "\n" not in str(refused.value)


def test_parquet_damaged_inside_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "AAA.parquet"
    _frame(periods=500).to_parquet(path, compression="snappy")
    body = bytearray(path.read_bytes())
    body[4:2000] = bytes(1996)
    path.write_bytes(body)
    with pytest.raises(DataError, match=r"cannot read .*AAA\.parquet as Parquet"):
        _open("parquet", tmp_path).fetch(["AAA"])


def test_csv_plain_zipped_and_with_semicolons(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "AAA.csv.gz", "wt") as file:
        file.write(AAA)
    (tmp_path / "BBB.csv").write_text("\ufeff" + AAA.replace(",", ";"), encoding="utf-8")
    source = _open("csv", tmp_path)
    assert source.symbols() == ("AAA", "BBB")
    found = source.fetch(["AAA", "BBB"])
    assert list(found["AAA"].close) == list(found["BBB"].close) == [5.5, 6.0]


@pytest.mark.parametrize(
    "body", [b"Date,Open,High,Low,Close\n2024-03-04,1,1,1,1,1,1\n", b"\xff\xfe\x00\x01" * 40]
)
def test_broken_csv_is_one_line(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "AAA.csv").write_bytes(body)
    with pytest.raises(DataError) as refused:
        _open("csv", tmp_path).fetch(["AAA"])
    assert "\n" not in str(refused.value)


def test_cut_gzip_is_one_line(tmp_path: Path) -> None:
    packed = gzip.compress((AAA * 50).encode())
    (tmp_path / "AAA.csv.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"cannot read .*AAA\.csv\.gz"):
        _open("csv", tmp_path).fetch(["AAA"])


def test_other_dates_need_a_format(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text("Date,Open,High,Low,Close\n04/03/2024,1,1,1,1\n05/03/2024,1,1,1,1\n")
    with pytest.raises(DataError, match="set date_format"):
        _open("csv", tmp_path).symbols()
    series = _open("csv", tmp_path, date_format="%d/%m/%Y").fetch(["AAA"])["AAA"]
    assert str(series.time[0])[:10] == "2024-03-04"


def test_parquet_reads_only_the_rows_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    pd.concat([_frame("AAA", periods=400), _frame("BBB", periods=400)]).to_parquet(tmp_path / "long.parquet")
    source = _open("parquet", tmp_path)
    source.symbols()
    sizes = []
    read_table = pq.read_table
    monkeypatch.setattr(pq, "read_table", lambda *a, **k: sizes.append(t := read_table(*a, **k)) or t)
    found = source.fetch(["AAA"], start="2024-04-01", end="2024-04-11")
    assert len(found["AAA"]) == 10
    # A day wider on both sides: the file's dates might be in any zone.
    assert [table.num_rows for table in sizes] == [12]
    assert "source" not in sizes[0].column_names
