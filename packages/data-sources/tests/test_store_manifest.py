from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import DataError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import Store, manifest

DAY = Interval.DAY
HISTORY = make_candles(["AAA", "BBB"], num_candles=20)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Store:
    store = Store(tmp_path / "store", clock=clock)
    for series in HISTORY.values():
        store.update("src", series, since=clock.now(), whole=True)
    store.failed("src", DAY, "CCC", FetchReason.EMPTY, 'none "at" all')
    return store


@pytest.fixture
def path(store: Store) -> Path:
    return store.root / "src" / "1d" / "manifest.json"


def test_is_json_a_line_a_symbol(path: Path) -> None:
    text = path.read_text()
    assert json.loads(text)["candles"][1]["symbol"] == "BBB"
    assert [line[:16] for line in text.splitlines() if line.startswith('{"symbol')] == [
        '{"symbol":"AAA",',
        '{"symbol":"BBB",',
        '{"symbol":"CCC",',
    ]
    assert json.loads(text)["candles"][0]["first"] == "2015-01-01"


TEXTS: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"format": "\xff"}',
    "a list": b"[]",
    "a NUL": b"\0" * 10,
    "deep": b"[" * 100_000,
    "digits": b'{"format": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"format": NaN}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_manifest_is_one_line(store: Store, path: Path, text: bytes) -> None:
    path.write_bytes(text)
    _refused(store, path)


def _refused(store: Store, path: Path) -> str:
    before = sorted(one.name for one in path.parent.iterdir())
    said = []
    for attempt in (
        lambda: store.read("src"),
        lambda: store.entries("src", DAY),
        lambda: store.update("src", HISTORY["AAA"], since=None, whole=True),
        lambda: store.sql("SELECT 1 FROM candles"),
    ):
        with pytest.raises(DataError) as refused:
            attempt()
        said.append(str(refused.value))
    assert len(set(said)) == 1
    assert said[0].startswith(f"{path} is no manifest of a store: ")
    assert said[0].isprintable()
    assert len(said[0]) < 700
    # What cannot be read is not tidied up either.
    assert sorted(one.name for one in path.parent.iterdir()) == before
    return said[0]


def _entry(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda value: value["candles"][0].update(changes)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "format": (lambda value: value.update(format=2), "it has format 2, this version reads 1"),
    "source": (lambda value: value.update(source="other"), "it is of 'other' at 1d"),
    "interval": (lambda value: value.update(interval="1h"), "it is of 'src' at 1h"),
    "no interval": (lambda value: value.update(interval="2d"), "interval: "),
    "missing": (lambda value: value.pop("failures"), "failures: Field required"),
    "more": (lambda value: value.update(files=[]), "files: "),
    "path": (_entry(symbol="../../../etc/passwd"), "'../../../etc/passwd' is not a symbol"),
    "file": (_entry(file="../x.parquet"), "candles.0.file: "),
    "nul": (_entry(symbol="A\0A"), "is not a symbol"),
    "twice": (_entry(symbol="BBB"), "it names BBB twice"),
    "sha256": (_entry(sha256="../" * 21 + "a"), "candles.0.sha256: "),
    "short sha256": (_entry(sha256="abc"), "candles.0.sha256: "),
    "upper sha256": (_entry(sha256="A" * 64), "candles.0.sha256: "),
    "rows as text": (_entry(rows="20"), "candles.0.rows: "),
    "no rows": (_entry(rows=0), "candles.0.rows: "),
    "rows as float": (_entry(rows=20.5), "candles.0.rows: "),
    "rows as bool": (_entry(rows=True), "candles.0.rows: "),
    "stamp": (_entry(first="today"), "candles.0.first: Value error, a stamp was expected"),
    "stamp as list": (_entry(first=[1]), "candles.0.first: Value error, a stamp was expected"),
    "stamp as number": (_entry(last=0), "candles.0.last: Value error, a stamp was expected"),
    "no such day": (_entry(last="2024-02-31"), "candles.0.last: "),
    "year": (_entry(last="9999-01-01"), "9999-01-01"),
    "naive moment": (_entry(checked_at="2024-01-01T00:00:00"), "candles.0.checked_at: "),
    "category": (_entry(category="moon"), "candles.0.category: "),
    "giant text": (_entry(category="x" * 1_000_000), "candles.0.category: "),
    "an entry as text": (lambda value: value["candles"].append("AAA"), "candles.2: "),
    "reason": (lambda value: value["failures"][0].update(reason="bored"), "failures.0.reason: "),
    "quarantine": (
        lambda value: value["quarantine"].append({"symbol": "__", "rows": 1, "sha256": "0" * 64}),
        "'__' is not a symbol",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_tampering_is_one_line(
    store: Store, path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    assert said in _refused(store, path)


def test_a_giant_manifest_is_not_read(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_MOST_BYTES", 2**20)
    path.write_bytes(path.read_bytes() + b" " * 2**20)
    assert "it is larger than 1 MB" in _refused(store, path)


def test_a_manifest_that_is_a_folder(store: Store, path: Path) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"cannot read .*manifest\.json: Is a directory"):
        store.read("src")


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another file's hash": (
        lambda value: value["candles"][0].update(sha256=value["candles"][1]["sha256"]),
        "a file of AAA is missing",
    ),
    "no file's hash": (_entry(sha256="0" * 64), "a file of AAA is missing"),
    "size": (_entry(size=7), "bytes, its manifest says 7"),
    "rows": (_entry(rows=19), "does not hold the rows, range and fingerprint its manifest says"),
    "first": (_entry(first="2015-01-02"), "does not hold the rows, range and fingerprint"),
    "last": (_entry(last="2015-01-02"), "does not hold the rows, range and fingerprint"),
    "fingerprint": (_entry(fingerprint="0" * 64), "does not hold the rows, range and fingerprint"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_manifest_that_does_not_fit_its_files(
    store: Store, path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(DataError) as refused:
        store.read("src")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def _file(store: Store) -> Path:
    return next((store.root / "src" / "1d").glob("AAA.*.parquet"))


@pytest.mark.parametrize("position", [0, 4, 500, -1])
def test_one_wrong_byte_is_noticed(store: Store, position: int) -> None:
    content = bytearray(_file(store).read_bytes())
    content[position] ^= 1
    _file(store).write_bytes(content)
    with pytest.raises(
        DataError, match=r"is not the file its manifest names: sha256 .*; fetch the symbol again"
    ):
        store.read("src")
    assert store.read("src", ["BBB"]).symbols == ("BBB",)


def test_a_truncated_file_is_noticed(store: Store) -> None:
    _file(store).write_bytes(_file(store).read_bytes()[:-1])
    with pytest.raises(DataError, match="bytes, its manifest says"):
        store.read("src")


def _forge(store: Store, path: Path, content: bytes) -> None:
    """Put other bytes in the place of a file, with their right hash and size in the manifest."""
    import hashlib

    _file(store).unlink()
    sha256 = hashlib.sha256(content).hexdigest()
    (path.parent / f"AAA.{sha256[:12]}.parquet").write_bytes(content)
    value = json.loads(path.read_text())
    value["candles"][0].update(sha256=sha256, size=len(content))
    path.write_text(json.dumps(value))


def test_bytes_that_are_no_parquet(store: Store, path: Path) -> None:
    _forge(store, path, b"PAR1 not at all PAR1")
    with pytest.raises(DataError, match=r"cannot read .* as Parquet") as refused:
        store.read("src")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("column", "kind"), [("time", pa.timestamp("us", "UTC")), ("close", pa.float32()), ("close", pa.string())]
)
def test_columns_of_other_types(store: Store, path: Path, column: str, kind: pa.DataType) -> None:
    table = pq.read_table(_file(store))
    place = table.schema.get_field_index(column)
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(place, column, table[column].cast(kind)), sink)
    _forge(store, path, sink.getvalue().to_pybytes())
    said = rf"as Parquet: column {column} is {re.escape(str(kind))} with nulls, .* was expected"
    with pytest.raises(DataError, match=said):
        store.read("src")


def test_a_column_that_is_missing_or_has_nulls(store: Store, path: Path) -> None:
    table = pq.read_table(_file(store))
    sink = pa.BufferOutputStream()
    pq.write_table(table.drop_columns("volume"), sink)
    _forge(store, path, sink.getvalue().to_pybytes())
    with pytest.raises(DataError, match=r"cannot read .* as Parquet: it has no column volume"):
        store.read("src")
    nulls = pa.array([None] * len(table), pa.float64())
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(table.schema.get_field_index("open"), "open", nulls), sink)
    _forge(store, path, sink.getvalue().to_pybytes())
    with pytest.raises(DataError, match="column open is double with nulls, double was expected"):
        store.read("src")


def test_a_table_of_several_pieces_reads_as_one(store: Store, path: Path) -> None:
    table = pq.read_table(_file(store))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=7, compression="zstd")
    _forge(store, path, sink.getvalue().to_pybytes())
    assert store.read("src").fingerprint() == HISTORY.fingerprint()


def test_impossible_candles_are_refused_when_read(store: Store, path: Path) -> None:
    table = pq.read_table(_file(store))
    place = table.schema.get_field_index("low")
    lower = table.set_column(place, table.schema.field("low"), pa.array([0.0] * len(table)))
    sink = pa.BufferOutputStream()
    pq.write_table(lower, sink)
    _forge(store, path, sink.getvalue().to_pybytes())
    with pytest.raises(DataError, match=r"AAA: 20 impossible candles \(from src at 1d in "):
        store.read("src")
