"""Every filter, beside the same written plainly in Python, and the index it goes by."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side
from marketgpt_signals import queries
from marketgpt_signals.database import Database
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.queries import SignalFilter
from marketgpt_signals.schema import SURE_PERCENTS, signals

SYMBOLS, HORIZONS = ("AAA", "BBB", "BTC-USD", "a"), (1, 5, 10)


def some_signals(make_signal, draw: random.Random, num: int):
    """Several models a series, series that end early, probabilities on the very edges of the indexes."""
    edges = [percent / 100 for percent in SURE_PERCENTS]
    edges += [1 - edge for edge in edges]
    made = {}
    for _ in range(num):
        symbol = draw.choice(SYMBOLS)
        one = make_signal(
            draw.randrange(4 if symbol == "BBB" else 8),
            symbol=symbol,
            horizon_bars=draw.choice(HORIZONS),
            interval=draw.choice([Interval.DAY, Interval.HOUR]),
            side=draw.choice(list(Side)),
            probability=draw.choice([*edges, draw.random(), 0.5999999999999999]),
            model_id=draw.choice(["m1", "m2"]),
        )
        made[one.id] = one
    return list(made.values())


def plainly(said, wanted: SignalFilter):
    """Return what a filter asks for, newest as-of first, in the order of writing the other way round."""
    newest = {}
    for one in said:
        key = one.symbol, one.interval, one.horizon_bars
        newest[key] = max(newest.get(key, one.as_of), one.as_of)
    kept = []
    for seq, one in enumerate(said):
        sure = 1.0 - one.probability if one.side is Side.SHORT else one.probability
        fits = (
            wanted.symbol in {None, one.symbol}
            and wanted.horizon_bars in {None, one.horizon_bars}
            and wanted.side in {None, one.side}
            and (wanted.since is None or one.as_of >= wanted.since)
            and (wanted.min_probability is None or sure >= wanted.min_probability)
            and (not wanted.latest or one.as_of == newest[one.symbol, one.interval, one.horizon_bars])
        )
        if fits:
            kept.append((one.as_of, seq, one))
    return [one for _, _, one in sorted(kept, key=lambda row: row[:2], reverse=True)]


def some_filter(make_signal, draw: random.Random) -> SignalFilter:
    levels = [percent / 100 for percent in SURE_PERCENTS]
    return SignalFilter(
        symbol=draw.choice([None, None, *SYMBOLS]),
        horizon_bars=draw.choice([None, None, *HORIZONS, 99]),
        side=draw.choice([None, *Side]),
        min_probability=draw.choice([None, None, 0.0, 1.0, draw.random(), 0.5999999999999999, *levels]),
        since=draw.choice([None, make_signal(3).as_of, make_signal(3).as_of + timedelta(seconds=1)]),
        latest=draw.random() < 0.4,
    )


@pytest.mark.parametrize("seed", range(3))
def test_filters_find_what_a_loop_in_python_finds(ledger, make_signal, seed):
    draw = random.Random(seed)
    said = some_signals(make_signal, draw, 250)
    ledger.append(said)
    num_found = 0
    for _ in range(60):
        wanted = some_filter(make_signal, draw)
        expected = plainly(said, wanted)
        limit = draw.choice([None, 1, 3, 40])
        assert [one for _, one in ledger.signal_page(wanted, limit=limit)] == expected[:limit], wanted
        num_found += len(expected)
    assert num_found > 100
    assert ledger.symbols() == sorted({one.symbol for one in said})
    assert ledger.horizons() == sorted({one.horizon_bars for one in said})


def test_pages_of_the_latest_go_on_where_the_last_one_ended(ledger, make_signal):
    draw = random.Random(9)
    said = some_signals(make_signal, draw, 250)
    ledger.append(said)
    wanted = SignalFilter(latest=True)
    expected, found, after = plainly(said, wanted), [], None
    while page := ledger.signal_page(wanted, after=after, limit=2):
        found += [one for _, one in page]
        after = page[-1][0]
    assert found == expected
    assert len(expected) > 10


def test_an_empty_ledger_has_no_latest(ledger):
    assert ledger.signal_page(SignalFilter(latest=True), limit=5) == []
    assert ledger.signals(latest=True) == ledger.symbols() == ledger.horizons() == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (SignalFilter(), "signals_by_time"),
        (SignalFilter(symbol="AAA"), "(symbol=?)"),
        (SignalFilter(symbol="AAA", horizon_bars=5, side=Side.LONG, min_probability=0.6), "(symbol=?)"),
        (SignalFilter(horizon_bars=5), "signals_by_horizon"),
        (SignalFilter(side=Side.SHORT), "signals_by_side"),
        (SignalFilter(horizon_bars=5, side=Side.SHORT), "signals_by_horizon"),
        (SignalFilter(min_probability=0.56), "signals_sure_55"),
        (SignalFilter(min_probability=0.6), "signals_sure_60"),
        (SignalFilter(min_probability=1.0, horizon_bars=5, side=Side.SHORT), "signals_sure_90"),
    ],
)
@pytest.mark.parametrize("is_later_page", [False, True])
def test_each_filter_goes_by_its_index_in_the_order_of_the_page(
    tmp_path, make_signal, wanted, index, is_later_page
):
    after = (make_signal(1).as_of, 1) if is_later_page else None
    database = Database.open(tmp_path / "ledger.db")
    with Ledger(database), database.read() as connection:
        query = queries.newest_first(queries.where(select(signals), wanted), after).limit(100)
        plain = str(query.compile(connection, compile_kwargs={"literal_binds": True})).replace(":", "\\:")
        plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {plain}"))]
    # Of one as-of's rows the last part of the order may be sorted; never all rows.
    assert [line for line in plan if line.startswith(("SCAN", "SEARCH"))][0:2] == plan[:1]
    assert plan[0].startswith(("SEARCH signals USING INDEX", "SCAN signals USING INDEX"))
    assert index in plan[0] or (index == "(symbol=?)" and "(symbol=? AND" in plan[0])
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
