from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import PRICES
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.store import query as module
from marketgpt_data_sources.store.query import COLUMNS, Query

HISTORY = make_candles(["AAA", "B&B", "^CCC"], num_candles=30)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    # A folder whose name means something to SQL and to a shell.
    store = Store(tmp_path / "it's a [st]ore*?")
    for series in HISTORY.values():
        store.update("yfinance", series, since=None, whole=True)
    hourly = replace(HISTORY["AAA"][:3], interval=Interval.HOUR)
    store.update("csv", hourly, since=None, whole=True)
    return store


def test_the_view_holds_every_candle_once(store: Store) -> None:
    assert list(store.sql("FROM candles LIMIT 0")) == list(COLUMNS)
    found = store.sql("SELECT source, interval, symbol, count(*) AS n FROM candles GROUP BY ALL ORDER BY ALL")
    assert found.to_numpy().tolist() == [
        ["csv", "1h", "AAA", 3],
        ["yfinance", "1d", "AAA", 30],
        ["yfinance", "1d", "B&B", 30],
        ["yfinance", "1d", "^CCC", 30],
    ]


def test_values_are_those_stored(store: Store) -> None:
    found = store.sql("SELECT * FROM candles WHERE symbol = '^CCC' AND year(time) = 2015 ORDER BY time")
    series = HISTORY["^CCC"]
    assert found["time"].to_numpy().astype("datetime64[ns]").tolist() == series.time.tolist()
    assert found["category"].unique().tolist() == ["us"]
    for name in (*PRICES, "volume"):
        assert np.array_equal(found[name], getattr(series, name))
    months = store.sql("SELECT DISTINCT date_trunc('month', time) AS month FROM candles ORDER BY 1")
    assert months["month"].astype("str").tolist() == ["2015-01-01", "2015-02-01"]


def test_files_no_manifest_names_do_not_count(store: Store) -> None:
    store.update("yfinance", HISTORY["AAA"][:30], since=None, whole=True)
    shorter = replace(HISTORY["AAA"], close=HISTORY["AAA"].low)[10:]
    store.update("yfinance", shorter, since=None, whole=True, replace=True)
    assert len(list((store.root / "yfinance" / "1d").glob("AAA.*"))) == 2
    found = store.sql("SELECT count(*) AS n FROM candles WHERE symbol = 'AAA' AND interval = '1d'")
    assert found["n"].tolist() == [20]


def test_an_empty_store_has_an_empty_view(tmp_path: Path) -> None:
    assert list(Store(tmp_path / "none").sql("FROM candles")) == list(COLUMNS)
    assert Store(tmp_path / "none").sql("SELECT max(close) AS top FROM candles")["top"].isna().tolist() == [
        True
    ]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "query", ["VALUES (1)", "WITH a AS (FROM candles) FROM a", "DESCRIBE candles", "SELECT 1;"]
)
def test_what_only_reads_is_allowed(store: Store, query: str) -> None:
    assert len(store.sql(query)) > 0


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("COPY candles TO '{out}'", "COPY"),
        ("COPY (SELECT 1) TO '{out}' (FORMAT csv)", "COPY"),
        ("ATTACH '{out}' AS x", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
        ("LOAD httpfs", "LOAD"),
        ("SET enable_external_access = true", "SET"),
        ("RESET lock_configuration", "SET"),
        ("PRAGMA version", "PRAGMA"),
        ("EXPORT DATABASE '{out}'", "EXPORT"),
        ("CREATE TABLE t AS FROM candles", "CREATE"),
        ("DROP VIEW candles", "DROP"),
        ("EXPLAIN ANALYZE COPY candles TO '{out}'", "EXPLAIN"),
        ("SELECT 1; SELECT 2", "SELECT and SELECT"),
        ("SELECT 1; COPY candles TO '{out}'", "SELECT and COPY"),
        ("", "nothing"),
        ("-- nothing", "nothing"),
    ],
)
def test_only_one_select(store: Store, tmp_path: Path, query: str, kind: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=f"write one SELECT over candles, not {kind}"):
        store.sql(query.format(out=out))
    assert not out.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('{stored}/../../../secret.parquet')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_parquet('{secret}')",
        "SELECT * FROM parquet_metadata('{secret}')",
        "SELECT * FROM read_json('{manifest}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
        "SELECT * FROM query('COPY candles TO ''/tmp/marketgpt-must-not-exist''')",
        "SELECT getenv('HOME')",
        "SELECT * FROM secret_frame",
        "SELECT write_blob('x', '{out}')",
    ],
)
def test_nothing_else_can_be_reached(store: Store, tmp_path: Path, query: str) -> None:
    secret_frame = pd.DataFrame({"secret": [1]})  # DuckDB finds variables by name, unless told not to
    secret = tmp_path / "secret.parquet"
    secret_frame.to_parquet(secret)
    stored = str(store.root).replace("'", "''")
    with pytest.raises(DataError, match="the query failed: ") as refused:
        store.sql(
            query.format(
                stored=stored,
                secret=secret,
                manifest=f"{stored}/yfinance/1d/manifest.json",
                out=tmp_path / "out",
            )
        )
    assert str(refused.value).isprintable()
    assert not (tmp_path / "out").exists()
    assert not Path("/tmp/marketgpt-must-not-exist").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELEC",
        "SELECT nothing FROM candles",
        "SELECT ?",
        "SELECT '\ud800'",
        "SELECT 1/'x'",
        "SELECT error('a\nb')",
    ],
)
def test_mistakes_are_one_line(store: Store, query: str) -> None:
    with pytest.raises(DataError) as refused:
        store.sql(query)
    assert str(refused.value).isprintable()


def test_names_are_text_and_not_sql(tmp_path: Path) -> None:
    """Quotes cannot stand in a symbol; what can is found by its exact text."""
    store = Store(tmp_path)
    with pytest.raises(DataError, match="is not a symbol"):
        store.update("src", replace(HISTORY["AAA"], symbol="A'); DROP--"), since=None, whole=True)
    with pytest.raises(DataError, match="cannot be a source"):
        store.update("s'; DROP", HISTORY["AAA"], since=None, whole=True)
    store.update("src", replace(HISTORY["AAA"], symbol="A--B^=&_."), since=None, whole=True)
    assert store.sql("SELECT DISTINCT symbol FROM candles")["symbol"].tolist() == ["A--B^=&_."]


def test_a_query_that_needs_too_much_memory_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMORY", "20MB")
    with pytest.raises(DataError, match="the query failed: Out of Memory Error: ") as refused:
        store.sql("SELECT * FROM range(100000000) ORDER BY hash(range)")
    assert "SET" not in str(refused.value)


def test_a_large_result_comes_in_pieces(store: Store) -> None:
    with Query(store, "SELECT range AS n FROM range(200000)") as result:
        pieces = list(result.chunks())
    assert len(pieces) == 5
    assert pd.concat(pieces)["n"].sum() == 200000 * 199999 // 2
    with Query(store, "SELECT 1 AS n WHERE false") as result:
        assert [list(piece) for piece in result.chunks()] == [["n"]]


def test_a_file_replaced_while_the_query_starts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    view = module._view
    pending = [HISTORY["AAA"][:20]]

    def late(root: Path):
        made = view(root)
        if pending:  # between the manifest and the query, the file goes
            store.update("yfinance", pending.pop(), since=None, whole=True, replace=True)
            store.touch("yfinance", Interval.DAY, "AAA", since=None)
        return made

    monkeypatch.setattr(module, "_view", late)
    found = store.sql(
        "SELECT count(*) AS n, avg(close) AS mean FROM candles WHERE symbol = 'AAA' AND interval = '1d'"
    )
    assert found["n"].tolist() == [20]


def test_a_missing_file_is_one_line(store: Store) -> None:
    next((store.root / "csv" / "1h").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="the query failed: ") as refused:
        store.sql("SELECT avg(close) FROM candles")
    assert str(refused.value).isprintable()


def test_a_broken_file_is_one_line(store: Store) -> None:
    next((store.root / "csv" / "1h").glob("*.parquet")).write_bytes(b"not at all")
    with pytest.raises(DataError, match="the query failed: ") as refused:
        store.sql("SELECT avg(close) FROM candles")
    assert str(refused.value).isprintable()
