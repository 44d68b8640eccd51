from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import marketgpt_data_sources
from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, DataError, PluginError
from marketgpt_data_sources import data_sources, load_candles, open_source, parse_source
from marketgpt_data_sources.writing import write_parquet


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample", ("sample", {})),
        (" yfinance ", ("yfinance", {})),
        ("parquet:../shared/data", ("parquet", {"location": "../shared/data"})),
        ("csv:C:/prices", ("csv", {"location": "C:/prices"})),
        ("synthetic:garch_t", ("synthetic", {"law": "garch_t"})),
    ],
)
def test_parse(text: str, expected: tuple[str, dict[str, str]]) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("parket:x", PluginError, "unknown data-source 'parket'; did you mean 'parquet'"),
        ("", PluginError, "unknown data-source ''"),
        ("sample:DIR", ConfigError, "source 'sample' takes no location, got 'DIR': write sample"),
        ("yfinance:AAPL", ConfigError, "takes no location"),
        ("parquet:", ConfigError, "empty location: write parquet:DIR"),
    ],
)
def test_parse_refuses(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_source(text)


def test_options_are_checked_and_name_their_origin() -> None:
    with pytest.raises(
        ConfigError, match=r"no such key 'adjst' \(from source csv:x\); did you mean 'adjust'"
    ):
        open_source("csv:x", {"adjst": True})
    with pytest.raises(ConfigError, match=r"law: .*'garch' \(from source synthetic:garch\)"):
        open_source("synthetic:garch")


def test_all_symbols_unless_some_are_named(tmp_path: Path, make_candles) -> None:
    candles: Candles = make_candles(["AAA", "BBB"], num_candles=20)
    write_parquet(candles, tmp_path)
    assert load_candles(f"parquet:{tmp_path}").fingerprint() == candles.fingerprint()
    part = load_candles(f"parquet:{tmp_path}", ["BBB"], "2015-01-05", "2015-01-07")
    assert part.symbols == ("BBB",)
    assert [str(t)[:10] for t in part["BBB"].time] == ["2015-01-05", "2015-01-06"]


def test_a_source_without_a_list_asks_for_symbols() -> None:
    with pytest.raises(ConfigError, match="source 'yfinance' lists no symbols at 1d: name them"):
        load_candles("yfinance")


def test_a_source_with_other_intervals_says_so(tmp_path: Path) -> None:
    hours = "date,open,high,low,close\n2024-03-04T10:00,1,1,1,1\n2024-03-04T11:00,1,1,1,1\n"
    (tmp_path / "AAA.csv").write_text(hours)
    with pytest.raises(DataError, match="has nothing at 1d; it has 1h"):
        load_candles(f"csv:{tmp_path}")


def test_unknown_symbol_has_a_hint() -> None:
    with pytest.raises(
        DataError, match="unknown symbol 'SYN0001' in synthetic:garch_t; did you mean 'SYN001'"
    ):
        load_candles("synthetic:garch_t", ["SYN0001"])


def test_our_sources_come_in_by_the_public_door() -> None:
    assert {"csv", "parquet", "sample", "synthetic", "yfinance"} <= set(data_sources().names())
    assert data_sources().provider("sample").distribution == "marketgpt-data-sources"


def test_every_name_of_the_package_is_there() -> None:
    assert all(getattr(marketgpt_data_sources, name) is not None for name in marketgpt_data_sources.__all__)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = marketgpt_data_sources.nothing_like_it


@pytest.mark.parametrize(
    "module", ["marketgpt_data_sources", "marketgpt_data_sources.plugin", "marketgpt_data_sources.cli"]
)
def test_start_up_is_light(module: str) -> None:
    heavy = {"numpy", "pandas", "pydantic", "yfinance"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
