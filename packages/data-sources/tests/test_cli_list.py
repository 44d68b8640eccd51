"""``marketgpt data list``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.cli import main
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources.base import SymbolSummary
from marketgpt_data_sources.sources.synthetic import Synthetic
from marketgpt_data_sources.universes.builtin import Crypto

OPTIONS = ("-o", "num_symbols=2", "-o", "num_candles=5", "-o", "start=2024-03-04")
ROW = {
    "symbol": "SYN001",
    "category": "unknown",
    "interval": "1d",
    "first": "2024-03-04",
    "last": "2024-03-08",
    "candles": 5,
}


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["data", "list", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_two_tables_universes_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys)
    assert status == 0
    universes, sources = out.split("\n\n")
    assert universes.splitlines()[0].split() == [
        "universe", "symbols", "markets", "benchmark", "distribution", "about",
    ]  # fmt: skip
    rows = {line.split()[0]: line for line in universes.splitlines()[1:]}
    assert rows["crypto"].split()[:5] == ["crypto", "20", "crypto", "20", "BTC-USD"]
    assert "us 270, eu 150, em 130, commodity 30, crypto 20" in rows["full-market"]
    assert "None" not in out
    assert rows["FILE.toml"].endswith("A TOML file of yours: write its path instead of a name.")
    written = [line.split()[0] for line in sources.splitlines()[1:]]
    assert {"csv:DIR", "parquet:DIR", "sample", "synthetic:LAW", "yfinance"} <= set(written)


def test_json_of_both(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "--json")
    found = json.loads(out)
    assert (status, err, list(found)) == (0, "", ["universes", "sources"])
    universes = {row["universe"]: row for row in found["universes"]}
    assert universes["crypto"]["markets"] == {"crypto": 20}
    assert (universes["us"]["symbols"], universes["us"]["benchmark"]) == (270, "SPY")
    assert universes["reduced"]["as_of"] == "2026-11-22"
    assert universes["FILE.toml"]["symbols"] is None
    sample = next(row for row in found["sources"] if row["source"] == "sample")
    assert sample["distribution"].startswith("marketgpt-data-sources ")
    assert sample["about"]


@pytest.mark.parametrize("raised", [OSError("the disk\nis gone"), ValueError("what")])
def test_a_universe_that_breaks_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def broken(_: Crypto) -> None:
        raise raised

    monkeypatch.setattr(Crypto, "universe", broken)
    status, out, _ = _run(capsys)
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert f"(broken) {type(raised).__name__}: {' '.join(str(raised).split())}" in lines["crypto"]
    assert "em 130" in lines["em"]


def test_instruments_of_a_universe(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "--universe", "full-market")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split() == ["symbol", "category", "exchange", "currency", "calendar"]
    assert len(lines) == 601
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows["AAPL"] == ["us", "XNAS", "USD", "XNYS"]
    assert rows["BARC.L"] == ["eu", "XLON", "GBp", "XLON"]
    assert rows["M&M.NS"] == ["em", "XNSE", "INR", "XBOM"]
    assert rows["BZ=F"] == ["commodity", "XNYM", "USD", "CMES"]
    assert rows["BTC-USD"] == ["crypto", "24/7", "USD", "24/7"]
    assert err.startswith("full-market: 600 instruments, drawn up on 2026-11-22\n")
    assert "survivors" in err


def test_json_of_a_users_universe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nabout = "Two."\nbenchmark = "GLD"\nnotes = "Mine."\n'
        '[[groups]]\ncategory = "commodity"\nsymbols = ["GC=F", "GLD"]\n'
    )
    status, out, err = _run(capsys, "--universe", str(path), "--json")
    assert (status, err) == (0, "")
    shared = {"category": "commodity", "currency": "USD"}
    assert json.loads(out) == {
        "universe": "mine",
        "symbols": 2,
        "markets": {"commodity": 2},
        "benchmark": "GLD",
        "as_of": None,
        "about": "Two.",
        "notes": "Mine.",
        "instruments": [
            {"symbol": "GC=F", "exchange": "XCEC", "calendar": "CMES", **shared},
            {"symbol": "GLD", "exchange": "XNYS", "calendar": "XNYS", **shared},
        ],
    }
    _, _, err = _run(capsys, "--universe", str(path))
    assert err == "mine: 2 instruments, measured against GLD\nMine.\n"


def test_symbols_of_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--source", "synthetic:garch_t", *OPTIONS)
    assert status == 0
    assert out.splitlines()[1].split() == ["SYN000", "unknown", "1d", "2024-03-04", "2024-03-08", "5"]
    _, out, _ = _run(capsys, "--source", "synthetic", "--json", "--symbols", "SYN001", *OPTIONS)
    assert json.loads(out) == [ROW]


def test_a_source_that_knows_is_not_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of 700 symbols keeps count: listing it must not fetch three million candles."""

    def summary(source: Synthetic, interval: Interval = Interval.DAY) -> Mapping[str, SymbolSummary] | None:
        first, last = np.datetime64("2024-03-04", "ns"), np.datetime64("2024-03-08", "ns")
        one = SymbolSummary(Category.UNKNOWN, 5, first, last)
        return dict.fromkeys(source.symbols(interval), one)

    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("candles were read")

    monkeypatch.setattr(Synthetic, "summary", summary)
    monkeypatch.setattr(Synthetic, "fetch", fetch)
    _, out, _ = _run(capsys, "--source", "synthetic", "--json", *OPTIONS)
    assert json.loads(out) == [{**ROW, "symbol": "SYN000"}, ROW]
    _, out, _ = _run(capsys, "--source", "synthetic", "--json", "--symbols", "SYN001", *OPTIONS)
    assert json.loads(out) == [ROW]
    status, out, err = _run(capsys, "--source", "synthetic", "--symbols", "SYN00", *OPTIONS)
    assert (status, out) == (2, "")
    assert "unknown symbol 'SYN00' in synthetic; did you mean 'SYN00" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "parket:x"), "did you mean 'parquet'"),
        (("--source", "yfinance"), "source 'yfinance' lists no symbols at 1d: name them"),
        (("--source", "csv"), "source 'csv' needs a DIR: write csv:DIR"),
        (("--source", "synthetic", "-o", "nu=3"), "no such key 'nu'"),
        (("--source", "synthetic", "--universe", "us"), "give --universe or --source, not both"),
        (("--universe", "us", "--symbols", "AAPL"), "--symbols and --option go with --source"),
        (("-o", "nu=3"), "--symbols and --option go with --source"),
        (("--universe", "cryto"), "unknown universe 'cryto'; did you mean 'crypto'"),
        (("--universe", "nowhere.toml"), "the universe nowhere.toml does not exist"),
        (("--universe", "file"), "write the path of the universe's file"),
        (("--universe", "bad.toml"), "bad.toml: '../x' is not a symbol"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('name = "x"\ngroups = [{category = "us", symbols = ["../x"]}]')
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
