from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.cli import main

BROKEN = "symbol,date,open,high,low,close\nAAA,2024-03-04,1,1,1,1\nAAA,2024-03-05,1,1,2,1\n"


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["data", "verify", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture
def stale(tmp_path: Path) -> str:
    """Twelve equal candles of one symbol and six of another among wandering ones: reports, no bad rows."""
    days = np.busday_offset("2024-03-04", np.arange(60))
    pieces = []
    for symbol, run in (("LONG", 12), ("SHORT", 6)):
        close = 100 + np.cumsum(np.random.default_rng(1).normal(size=60)).round(3)
        close[20 : 20 + run] = close[20]
        columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 5}
        pieces.append(pd.DataFrame({"symbol": symbol, "date": days, **columns}))
    pd.concat(pieces).to_csv(tmp_path / "stale.csv", index=False)
    return f"csv:{tmp_path}"


@pytest.mark.parametrize(("strict", "expected"), [((), 0), (("--strict",), 1)])
def test_says_check_file_and_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, strict: tuple[str, ...], expected: int
) -> None:
    (tmp_path / "long.csv").write_text(BROKEN)
    status, out, _ = _run(capsys, "--source", f"csv:{tmp_path}", *strict)
    assert status == expected
    lines = out.splitlines()
    assert lines[0].split() == ["check", "severity", "symbols", "rows", "about"]
    assert lines[1].split()[:4] == ["impossible", "refuse", "1", "1"]
    fault = "1 x high or low does not enclose the other prices (rows 1; first 2024-03-05)"
    assert f"  {tmp_path}/long.csv: AAA: {fault}" in lines
    assert lines[-1] == "2 candles of 1 symbol: 1 issue"


def test_json_has_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(BROKEN)
    status, out, _ = _run(capsys, "--source", f"csv:{tmp_path}", "--json", "--strict")
    assert status == 1
    report = json.loads(out)
    assert (report["is_clean"], report["num_rows"], report["weekdays_only"]) == (False, 2, ["AAA"])
    assert [(row["check"], row["severity"], row["rows"]) for row in report["summary"]] == [
        ("impossible", "refuse", 1)
    ]
    assert report["issues"] == [
        {
            "where": f"{tmp_path}/long.csv",
            "symbol": "AAA",
            "check": "impossible",
            "fault": "high or low does not enclose the other prices",
            "count": 1,
            "rows": [1],
            "first": "2024-03-05",
            "details": {},
            "severity": "refuse",
        }
    ]


def test_sound_candles_are_strictly_clean(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "--source", "synthetic", "--strict")
    assert (status, out) == (0, "16,000 candles of 8 symbols: nothing is wrong\n")
    assert err.startswith("no calendar is published for 8 of them (SYN000, SYN001, SYN002, ...)")


def _found(out: str) -> dict[str, list[str]]:
    report = json.loads(out)
    return {
        row["check"]: [i["symbol"] for i in report["issues"] if i["check"] == row["check"]]
        for row in report["summary"]
    }


def test_thresholds_on_the_command_line_and_in_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stale: str
) -> None:
    _, out, _ = _run(capsys, "--source", stale, "--json")
    assert _found(out) == {"stale": ["LONG"]}
    _, out, _ = _run(capsys, "--source", stale, "--json", "-q", "stale_bars=6")
    assert _found(out) == {"stale": ["LONG", "SHORT"]}
    file = tmp_path / "thresholds.toml"
    file.write_text("stale_bars = 6\n")
    _, out, _ = _run(capsys, "--source", stale, "--json", "--config", str(file))
    assert _found(out) == {"stale": ["LONG", "SHORT"]}
    _, out, _ = _run(capsys, "--source", stale, "--json", "--config", str(file), "-q", "stale_bars=13")
    assert _found(out) == {}


@pytest.mark.parametrize(
    "choice", [("--skip", "stale"), ("--check", "gap,split"), ("--severity", "quarantine")]
)
def test_checks_can_be_chosen(
    capsys: pytest.CaptureFixture[str], stale: str, choice: tuple[str, ...]
) -> None:
    assert _run(capsys, "--source", stale, "--strict")[0] == 1
    assert _run(capsys, "--source", stale, "--strict", *choice)[0] == 0
    assert (
        "symbols: nothing to quarantine\n" in _run(capsys, "--source", stale, "--severity", "quarantine")[1]
    )
    assert _run(capsys, "--source", stale, "--strict", "--check", "gap,stale", "--check", "split")[0] == 1


def test_examples_are_few_worst_first_and_all_can_be_had(
    capsys: pytest.CaptureFixture[str], stale: str
) -> None:
    arguments = ("--source", stale, "-q", "stale_bars=6")
    _, out, _ = _run(capsys, *arguments, "--examples", "1")
    assert "LONG: 1 stale run, longest 12 candles from 2024-04-01" in out
    assert "SHORT: " not in out
    assert "  ... and 1 more: --all\n" in out
    _, out, _ = _run(capsys, *arguments, "--examples", "1", "--all")
    assert "SHORT: 1 stale run, longest 6 candles" in out
    assert "more" not in out
    _, out, _ = _run(capsys, *arguments, "--examples", "0")
    assert "LONG" not in out


def test_a_universe_brings_calendars(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    universe = tmp_path / "mine.toml"
    universe.write_text('name = "mine"\n[[groups]]\ncategory = "us"\nsymbols = ["AAA"]\n')
    days = pd.bdate_range("2024-06-10", "2024-06-28")  # Juneteenth among them
    frame = pd.DataFrame({"date": days, "open": 1.0, "high": 2.0, "low": 0.5, "close": np.linspace(1, 2, 15)})
    folder = tmp_path / "csv"
    folder.mkdir()
    frame.to_csv(folder / "AAA.csv", index=False)
    _, out, _ = _run(capsys, "--source", f"csv:{folder}", "--json")
    assert _found(out) == {}
    _, out, _ = _run(capsys, "--source", f"csv:{folder}", "--json", "--universe", str(universe))
    issue = json.loads(out)["issues"][0]
    assert (issue["check"], issue["details"]["stamps"]) == ("off-session", ["2024-06-19"])
    assert issue["details"]["calendar"] == "XNYS"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "synthetic", "--symbols", "SYN00"), "did you mean 'SYN00"),
        (("--source", "synthetic", "--symbols", ","), "name at least one symbol"),
        (("--source", "synthetic", "--interval", "2d"), "unknown interval '2d'"),
        (("--source", "synthetic", "-q", "stale=3"), "no such key 'stale'"),
        (("--source", "synthetic", "-q", "stale_bars=1"), "stale_bars: Input should be greater than"),
        (("--source", "synthetic", "-q", "split_ratios=[1.1]"), "every ratio must be above 1.2"),
        (("--source", "synthetic", "--check", "spke"), "no check 'spke'; did you mean 'spike'?"),
        (("--source", "synthetic", "--skip", "gaps"), "no check 'gaps'; did you mean 'gap'?"),
        (("--source", "synthetic", "--config", "none.toml"), "cannot read none.toml"),
        (("--source", "synthetic", "--universe", "none.toml"), "none.toml"),
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
