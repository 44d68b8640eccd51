from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from marketgpt_core.cli import main
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import Store

Run = Callable[..., tuple[int, str, str]]
HISTORY = make_candles(["AAA", "BBB"], num_candles=60)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETGPT_STORE", raising=False)
    store = Store(Path("marketgpt-data"))
    for series in HISTORY.values():
        store.update("yfinance", series, since=None, whole=True)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["data", "sql", *arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def test_table(run: Run) -> None:
    query = "SELECT symbol, count(*) AS n, min(time) AS first FROM candles GROUP BY symbol ORDER BY symbol"
    status, out, err = run(query)
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["symbol", "n", "first"],
        ["AAA", "60", "2015-01-01"],
        ["BBB", "60", "2015-01-01"],
    ]
    assert run("SELECT 1 WHERE false") == (0, "no rows\n", "")


def test_the_table_ends_and_says_so(run: Run) -> None:
    status, out, err = run("FROM candles ORDER BY symbol, time")
    assert (status, len(out.splitlines())) == (0, 101)
    assert err == "the first 100 rows; more with --limit, all with --csv or --json\n"
    _, out, err = run("FROM candles ORDER BY symbol, time", "--limit", "120")
    assert (len(out.splitlines()), err) == (121, "")


def test_json_is_exact_and_whole(run: Run) -> None:
    status, out, _ = run("FROM candles ORDER BY symbol, time", "--json")
    rows = json.loads(out)
    assert (status, len(rows)) == (0, 120)
    assert rows[60] == {
        "source": "yfinance",
        "interval": "1d",
        "symbol": "BBB",
        "category": "us",
        "time": "2015-01-01T00:00:00Z",
        **{name: getattr(HISTORY["BBB"], name)[0] for name in ("open", "high", "low", "close", "volume")},
    }
    assert [row["close"] for row in rows[:60]] == HISTORY["AAA"].close.tolist()
    assert run("SELECT 1 WHERE false", "--json")[1] == "[]\n"


def test_json_of_what_json_has_not(run: Run) -> None:
    query = """
        SELECT 'nan'::DOUBLE AS a, NULL::INT AS b, [1.5, NULL] AS c, {'x': 'inf'::DOUBLE} AS d,
            1::DECIMAL(4, 2) AS e, TIMESTAMP '2024-01-02 03:04:05' AS f, NULL::TIMESTAMP AS g, true AS h,
            'quote " and ''' AS i, 7::HUGEINT AS j
    """
    (row,) = json.loads(run(query, "--json")[1])
    assert row == {
        "a": None,
        "b": None,
        "c": [1.5, None],
        "d": {"x": None},
        "e": 1.0,
        "f": "2024-01-02T03:04:05Z",
        "g": None,
        "h": True,
        "i": "quote \" and '",
        "j": 7,
    }


def test_csv(run: Run) -> None:
    status, out, _ = run("FROM candles ORDER BY symbol, time", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (status, len(rows)) == (0, 120)
    assert rows[1]["time"] == "2015-01-02T00:00:00Z"
    assert [float(row["close"]) for row in rows[60:]] == HISTORY["BBB"].close.tolist()
    assert run("SELECT 1 AS n WHERE false", "--csv")[1] == "n\n"


def test_large_results_come_in_pieces(run: Run) -> None:
    query = "SELECT range AS n FROM range(60000)"
    assert [row["n"] for row in json.loads(run(query, "--json")[1])] == list(range(60000))
    assert run(query, "--csv")[1].splitlines() == ["n", *map(str, range(60000))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SELEC 1",), "the query failed: Parser Error: syntax error"),
        (("SELECT * FROM read_csv('/etc/passwd')",), "the query failed: Permission Error: "),
        (("COPY candles TO 'out.csv'",), "write one SELECT over candles, not COPY"),
        (("SELECT 1", "--store", "nowhere"), "there is no store at nowhere"),
        (("SELECT 1", "--csv", "--json"), "--csv and --json: give one of them"),
    ],
)
def test_mistakes_are_told_and_exit_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert not Path("out.csv").exists()
