from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.cli import main
from marketgpt_core.clock import FixedClock, SystemClock
from marketgpt_core.errors import FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``marketgpt data status`` on the evening of Monday, 3 June 2024."""
    clock = FixedClock(datetime(2024, 6, 3, 21, tzinfo=UTC))
    monkeypatch.setattr(SystemClock, "now", lambda self: clock.now())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETGPT_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["data", "status", *arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def _series(symbol: str, days: list[str], interval: Interval = Interval.DAY) -> CandleSeries:
    time = np.array(days, dtype="datetime64[ns]")
    one = np.ones(len(time))
    return CandleSeries(symbol, interval, time, one, one, one, one, one, Category.US)


@pytest.fixture
def store(run: Run) -> Store:
    store = Store(Path("marketgpt-data"))
    store.update(
        "yfinance", _series("AAA", ["2024-05-29", "2024-05-31", "2024-06-03"]), since=None, whole=True
    )
    store.update("yfinance", _series("BBB", ["2024-05-28", "2024-05-29"]), since=None, whole=True)
    store.failed("yfinance", Interval.DAY, "BBB", FetchReason.THROTTLED, "BBB: 429 three times")
    store.failed("yfinance", Interval.DAY, "GONE", FetchReason.DELISTED, "GONE: not found")
    bad = pd.DataFrame({"symbol": ["AAA"], "time": pd.NaT, "reason": ["no date"]})
    store.quarantine("yfinance", Interval.DAY, bad)
    hourly = _series("AAA", ["2024-06-03T13:30"], Interval.HOUR)
    store.update("csv", hourly, since=None, whole=True)
    return store


def test_table_and_summary(run: Run, store: Store) -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "csv at 1h in marketgpt-data",
        "symbol category candles first last checked behind gaps quarantined failed",
        "AAA us 1 2024-06-03T13:30:00Z 2024-06-03T13:30:00Z 2024-06-03T21:00Z 0 0 0",
        "1 symbols, 1 candles: 1 fresh, 0 stale, 0 sessions missing; 0 failed, 0 rows quarantined",
        "yfinance at 1d in marketgpt-data",
        "symbol category candles first last checked behind gaps quarantined failed",
        "AAA us 3 2024-05-29 2024-06-03 2024-06-03T21:00Z 0 1 1",
        "BBB us 2 2024-05-28 2024-05-29 2024-06-03T21:00Z 3 0 0 throttled",
        "GONE 0 0 delisted",
        "BBB: throttled: BBB: 429 three times",
        "GONE: delisted: GONE: not found",
        "2 symbols, 5 candles: 1 fresh, 1 stale, 1 sessions missing; 2 failed, 1 rows quarantined",
    ]


def test_json(run: Run, store: Store) -> None:
    status, out, _ = run("--json", "--source", "yfinance")
    assert status == 0
    report = json.loads(out)
    (shelf,) = report["shelves"]
    assert shelf["fingerprint"] == store.fingerprint("yfinance", Interval.DAY)
    counts = {"symbols": 2, "candles": 5, "fresh": 1, "stale": 1, "missing_sessions": 1, "failed": 2}
    assert counts.items() <= shelf.items()
    rows = {row["symbol"]: row for row in shelf["by_symbol"]}
    assert rows["AAA"]["sha256"] == store.entries("yfinance", Interval.DAY)["AAA"].sha256
    assert (rows["AAA"]["behind"], rows["AAA"]["gaps"], rows["AAA"]["failed"]) == (0, 1, None)
    assert rows["AAA"]["checked"] == "2024-06-03T21:00:00+00:00"
    assert rows["GONE"]["failed"] == {
        "reason": "delisted",
        "message": "GONE: not found",
        "at": "2024-06-03T21:00:00+00:00",
    }
    assert (rows["GONE"]["last"], rows["GONE"]["behind"], rows["GONE"]["candles"]) == (None, None, 0)


def test_chosen_by_interval_and_place(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = run("--interval", "1h", "--store", "marketgpt-data")
    assert out.startswith("csv at 1h")
    assert "yfinance" not in out
    monkeypatch.setenv("MARKETGPT_STORE", str(store.root.absolute()))
    _, out, _ = run("--source", "csv")
    assert out.startswith(f"csv at 1h in {store.root.absolute()}")
    assert run("--interval", "1w") == (
        0,
        "nothing is stored in " + str(store.root.absolute()) + " at 1w\n",
        "",
    )


def test_a_changed_file_is_told(run: Run, store: Store) -> None:
    (path,) = (store.root / "csv" / "1h").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "is not the file its manifest names" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--store", "nowhere"), "there is no store at nowhere: fill it with 'marketgpt data fetch'"),
        (
            ("--source", "yfinanc"),
            "no source 'yfinanc' in the store at marketgpt-data; did you mean 'yfinance'",
        ),
        (("--interval", "2d"), "unknown interval '2d'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    run: Run, store: Store, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_fingerprint_of_candles_is_another(store: Store) -> None:
    """What a run records is that of the candles it read; see Store.fingerprint."""
    candles = store.read("yfinance")
    assert isinstance(candles, Candles)
    assert candles.fingerprint() != store.fingerprint("yfinance", Interval.DAY)
