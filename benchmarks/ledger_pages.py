"""How long a page of signals takes in a large ledger, through the ledger and through the REST API.

A ledger of 700 symbols x 4 horizons x as many days as NUM needs is filled (by the database itself, its
indexes made at the end; that is not measured), then each filter of the API is asked many times, with other
values each time, for 100 signals. Then batches are appended to the full ledger, beside SQLAlchemy Core's
executemany of the same rows into the same tables. Run it with::

    uv run python benchmarks/ledger_pages.py --num 5000000 [--ledger WHERE] [--plans]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, text

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_signals import queries
from marketgpt_signals.api.cursor import write_cursor
from marketgpt_signals.database import Database
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.rows import signal_row
from marketgpt_signals.schema import signals

LONG_FROM, SHORT_TO = 0.55, 0.45
SYMBOLS, HORIZONS = 700, (5, 10, 21, 42)
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
PAGE = 100
MOST_MEDIAN_MS = 50.0
# P(up) is normal around a half with a spread of 5%: 16% of the sides reach 55%, 2% reach 60%, none 90%.
_FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {num}),
        p(i, u) AS (SELECT i, 0.5 + 0.05 * (-6 + {twelve}) FROM n)
        INSERT INTO signals SELECT i + 1, lower(hex(randomblob(16))), printf('S%03d', i / 4 % {symbols}),
          strftime('%Y-%m-%dT00:00:00.000000Z', '2000-01-01', (i / {daily}) || ' days'),
          CASE i % 4 WHEN 0 THEN 5 WHEN 1 THEN 10 WHEN 2 THEN 21 ELSE 42 END, '1d',
          CASE WHEN u >= 0.55 THEN 'LONG' WHEN u <= 0.45 THEN 'SHORT' ELSE 'FLAT' END,
          u, abs(2 * u - 1), 100.0, 95.0, 98.0, 101.0, 104.0, 108.0,
          strftime('%Y-%m-%dT00:00:00.000000Z', '2000-01-01', (i / {daily} + 21) || ' days'),
          strftime('%Y-%m-%dT21:30:00.000000Z', '2000-01-01', (i / {daily}) || ' days'),
          'threshold', 'model-0123456789abcdef', printf('%064d', 7),
          'P(up) ' || round(u, 3) || ', median move +65 bps against 14 bps of costs',
          '0.1.0+e2120c6', 1.0
          FROM p""",
    "postgresql": """
        WITH n AS (SELECT generate_series(0, {num} - 1) AS i),
        p AS MATERIALIZED (SELECT i, 0.5 + 0.05 * (-6 + {twelve}) AS u FROM n)
        INSERT INTO signals
          SELECT i + 1, md5(random()::text || i), 'S' || lpad((i / 4 % {symbols})::text, 3, '0'),
          to_char(timestamp '2000-01-01' + (i / {daily}) * interval '1 day', 'YYYY-MM-DD"T00:00:00.000000Z"'),
          CASE i % 4 WHEN 0 THEN 5 WHEN 1 THEN 10 WHEN 2 THEN 21 ELSE 42 END, '1d',
          CASE WHEN u >= 0.55 THEN 'LONG' WHEN u <= 0.45 THEN 'SHORT' ELSE 'FLAT' END,
          u, abs(2 * u - 1), 100.0, 95.0, 98.0, 101.0, 104.0, 108.0,
          to_char(timestamp '2000-01-22' + (i / {daily}) * interval '1 day', 'YYYY-MM-DD"T00:00:00.000000Z"'),
          to_char(timestamp '2000-01-01' + (i / {daily}) * interval '1 day', 'YYYY-MM-DD"T21:30:00.000000Z"'),
          'threshold', 'model-0123456789abcdef', lpad('7', 64, '0'),
          'P(up) ' || round(u::numeric, 3) || ', median move +65 bps against 14 bps of costs',
          '0.1.0+e2120c6', 1.0
          FROM p""",
}
_UNIFORM = {"sqlite": "(random() / 18446744073709551616.0 + 0.5)", "postgresql": "random()"}


def fill(database: Database, num: int) -> None:
    """Write the signals; what slows that down is taken away before and put back after."""
    with database.write() as connection:
        dialect = connection.dialect.name
        indexes = sorted(signals.indexes, key=lambda one: str(one.name))
        for index in indexes:
            index.drop(connection)
        triggers = _triggers(connection) if dialect == "sqlite" else []
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        twelve = " + ".join([_UNIFORM[dialect]] * 12)  # sums to a normal of spread 1
        statement = _FILL[dialect].format(num=num, symbols=SYMBOLS, daily=SYMBOLS * 4, twelve=twelve)
        connection.exec_driver_sql(statement.replace("%", "%%") if dialect == "postgresql" else statement)
        for index in indexes:
            index.create(connection)
        for _, sql in triggers:
            connection.exec_driver_sql(sql)
        if dialect == "postgresql":
            connection.exec_driver_sql("SELECT setval('signals_seq_seq', (SELECT max(seq) FROM signals))")
            connection.exec_driver_sql("ANALYZE signals")


def _triggers(connection: Connection) -> list[tuple[str, str]]:
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'signals'"
    return [(str(name), str(sql)) for name, sql in connection.exec_driver_sql(found)]


def questions(num: int) -> dict[str, Callable[[random.Random], dict[str, Any]]]:
    """Return the parameters of the API, drawn anew for each call, by the name of the filter."""
    days = num // (SYMBOLS * 4)

    def symbol(draw: random.Random) -> str:
        return f"S{draw.randrange(SYMBOLS):03}"

    def cursor(draw: random.Random) -> str:
        day = draw.randrange(days // 2)
        return write_cursor((FIRST_DAY + timedelta(days=day), day * SYMBOLS * 4 + draw.randrange(2_800)))

    def since(draw: random.Random) -> str:
        return (FIRST_DAY + timedelta(days=draw.randrange(days))).date().isoformat()

    return {
        "none": lambda _: {},
        "symbol": lambda draw: {"symbol": symbol(draw)},
        "horizon": lambda draw: {"horizon": draw.choice(HORIZONS)},
        "horizon nobody has": lambda draw: {"horizon": draw.randrange(50, 100)},
        "side": lambda draw: {"side": draw.choice(list(Side)).value},
        "min_probability 0.55": lambda _: {"min_probability": 0.55},
        "min_probability 0.50..0.75": lambda draw: {"min_probability": round(draw.uniform(0.5, 0.75), 3)},
        "min_probability 0.80..1": lambda draw: {"min_probability": round(draw.uniform(0.8, 1), 3)},
        "since": lambda draw: {"since": since(draw)},
        "latest": lambda _: {"latest": True},
        "latest of a symbol": lambda draw: {"latest": True, "symbol": symbol(draw)},
        "latest LONG over 0.6": lambda _: {"latest": True, "side": "LONG", "min_probability": 0.6},
        "cursor deep in": lambda draw: {"cursor": cursor(draw)},
        "symbol, cursor deep in": lambda draw: {"symbol": symbol(draw), "cursor": cursor(draw)},
        "symbol, horizon, SHORT, 0.6": lambda draw: {
            "symbol": symbol(draw), "horizon": draw.choice(HORIZONS), "side": "SHORT", "min_probability": 0.6,
        },
        "horizon, SHORT, 0.65, since": lambda draw: {
            "horizon": draw.choice(HORIZONS), "side": "SHORT", "min_probability": 0.65, "since": since(draw),
        },
        "cursor deep in, SHORT, 0.7": lambda draw: {
            "cursor": cursor(draw), "side": "SHORT", "min_probability": 0.7,
        },
    }  # fmt: skip


def measure(ask: Callable[[dict[str, Any]], int], num: int, calls: int) -> dict[str, dict[str, float]]:
    """Ask every question ``calls`` times, in turns, and return what it took."""
    draw, found = random.Random(1), {name: ([], []) for name in questions(num)}
    for _ in range(calls):
        for name, make in questions(num).items():
            parameters = make(draw)
            began = time.perf_counter()
            rows = ask(parameters)
            found[name][0].append(1e3 * (time.perf_counter() - began))
            found[name][1].append(rows)
    return {
        name: {
            "median_ms": statistics.median(took),
            "p99_ms": sorted(took)[min(len(took) - 1, int(0.99 * len(took)))],
            "rows": statistics.median(rows),
        }
        for name, (took, rows) in found.items()
    }


def by_ledger(ledger: Ledger) -> Callable[[dict[str, Any]], int]:
    """Return how to ask the ledger itself."""
    from marketgpt_signals.api.cursor import read_cursor
    from marketgpt_signals.api.models import SignalQuery

    def ask(parameters: dict[str, Any]) -> int:
        query = SignalQuery.model_validate(parameters)
        after = None if query.cursor is None else read_cursor(query.cursor)
        return len(ledger.signal_page(query.wanted(), after=after, limit=PAGE + 1)[:PAGE])

    return ask


@contextmanager
def by_api(ledger: Ledger) -> Iterator[Callable[[dict[str, Any]], int]]:
    """Give how to ask the API in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    from marketgpt_signals.api import create_app

    with TestClient(create_app(ledger)) as client:

        def ask(parameters: dict[str, Any]) -> int:
            answer = client.get("/v1/signals", params=parameters)
            answer.raise_for_status()
            return len(answer.json()["items"])

        yield ask


def plans(database: Database, num: int) -> dict[str, list[str]]:
    """Return how the database goes about each question."""
    from marketgpt_signals.api.cursor import read_cursor
    from marketgpt_signals.api.models import SignalQuery

    found = {}
    with database.read() as connection:
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        for name, make in questions(num).items():
            query = SignalQuery.model_validate(make(random.Random(1)))
            after = None if query.cursor is None else read_cursor(query.cursor)
            asked = queries.newest_first(queries.where(select(signals), query.wanted()), after).limit(
                PAGE + 1
            )
            plain = asked.compile(connection, compile_kwargs={"literal_binds": True})
            found[name] = [str(row[-1]) for row in connection.execute(text(explain + _quoted(str(plain))))]
    return found


def _quoted(sql: str) -> str:
    return sql.replace(":", "\\:").replace("%%", "%")


def inserts(database: Database, batches: int) -> dict[str, float]:
    """Append batches of a day each to the full ledger, ours and Core's in turns; signals a second."""
    ledger = Ledger(database)
    newest = ledger.summary().newest
    assert newest is not None
    first = (newest.as_of - FIRST_DAY).days + 1
    spent = {"append": 0.0, "executemany": 0.0}
    for number in range(2 * batches):
        made = list(_day(first + number))
        began = time.perf_counter()
        if number % 2:
            ledger.append(made)
        else:
            with database.write() as connection:
                connection.execute(insert(signals), [signal_row(signal) for signal in made])
        spent["append" if number % 2 else "executemany"] += time.perf_counter() - began
    return {name: batches * SYMBOLS * 4 / seconds for name, seconds in spent.items()}


def _day(day: int) -> Iterator[Signal]:
    draw, at = random.Random(day), FIRST_DAY + timedelta(days=day)
    for position in range(SYMBOLS * 4):
        up = min(max(draw.gauss(0.5, 0.05), 0.0), 1.0)
        side = Side.LONG if up >= LONG_FROM else Side.SHORT if up <= SHORT_TO else Side.FLAT
        yield Signal(
            symbol=f"S{position // 4:03}", as_of=at, horizon_bars=HORIZONS[position % 4], side=side,
            interval=Interval.DAY, probability=up, confidence=abs(2 * up - 1), close=100.0,
            bands=Bands(95, 98, 101, 104, 108), expires_at=at + timedelta(days=21),
            created_at=at + timedelta(hours=21), strategy="threshold",
            model_id="model-0123456789abcdef", data_fingerprint=f"{7:064}", code_revision="0.1.0+e2120c6",
            reason=f"P(up) {up:.3f}, median move +65 bps against 14 bps of costs",
        )  # fmt: skip


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print a table: medians and p99 of both ways."""
    heads = f"{'ledger ms: median':>17} {'p99':>8}   {'API ms: median':>14} {'p99':>8}"
    print(f"{'filter':30} {'rows':>5}   {heads}")
    for name in found["ledger"]:
        ours, api = found["ledger"][name], found["api"][name]
        print(
            f"{name:30} {ours['rows']:5.0f}   {ours['median_ms']:17.1f} {ours['p99_ms']:8.1f}"
            f"   {api['median_ms']:14.1f} {api['p99_ms']:8.1f}"
        )


def main() -> None:
    """Fill, ask, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num", type=int, default=5_000_000, help="signals")
    parser.add_argument("--calls", type=int, default=100, help="of each question")
    parser.add_argument(
        "--ledger", help="where; kept, and used as it is when filled. Default: a temporary file"
    )
    parser.add_argument("--plans", action="store_true", help="show how the database goes about it")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(options.ledger or Path(folder) / "ledger.db")
        with Ledger(database) as ledger:
            began = time.perf_counter()
            if not ledger.horizons():
                fill(database, options.num)
            filled_s = time.perf_counter() - began
            print(f"{options.num:,} signals in {ledger.name}, filled in {filled_s:.0f} s")
            if options.plans:
                print(json.dumps(plans(database, options.num), indent=2))
            found: dict[str, Any] = {"ledger": measure(by_ledger(ledger), options.num, options.calls)}
            with by_api(ledger) as ask:
                found["api"] = measure(ask, options.num, options.calls)
            show(found)
            found["inserts_per_s"] = inserts(database, 10)
    told = ", ".join(f"{name} {rate:,.0f}" for name, rate in found["inserts_per_s"].items())
    print(f"into the full ledger, signals a second: {told}")
    if options.json is not None:
        found["machine"] = platform.platform()
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    slow = [name for name in found["api"] if found["api"][name]["median_ms"] > MOST_MEDIAN_MS]
    print(f"over {MOST_MEDIAN_MS:.0f} ms at the median: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
