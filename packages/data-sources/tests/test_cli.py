from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketgpt_core.cli import main


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["data", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_list_shows_sources_and_what_stands_after_the_colon(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "list")
    assert status == 0
    written = [line.split()[0] for line in out.splitlines()[1:]]
    assert {"csv:DIR", "parquet:DIR", "sample", "synthetic:LAW", "yfinance"} <= set(written)
    status, out, _ = _run(capsys, "list", "--json")
    assert {"source": "sample"}.items() <= next(r for r in json.loads(out) if r["source"] == "sample").items()


def test_list_of_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("-o", "num_symbols=2", "-o", "num_candles=5", "-o", "start=2024-03-04")
    status, out, _ = _run(capsys, "list", "--source", "synthetic:garch_t", *options)
    assert status == 0
    assert out.splitlines()[1].split() == ["SYN000", "unknown", "1d", "2024-03-04", "2024-03-08", "5"]
    _, out, _ = _run(capsys, "list", "--source", "synthetic", "--json", "--symbols", "SYN001", *options)
    assert json.loads(out) == [
        {
            "symbol": "SYN001",
            "category": "unknown",
            "interval": "1d",
            "first": "2024-03-04",
            "last": "2024-03-08",
            "candles": 5,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--source", "parket:x"), "did you mean 'parquet'"),
        (("list", "--source", "yfinance"), "source 'yfinance' lists no symbols at 1d: name them"),
        (("list", "--source", "csv"), "source 'csv' needs a DIR: write csv:DIR"),
        (("list", "--source", "synthetic", "-o", "nu=3"), "no such key 'nu'"),
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
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
