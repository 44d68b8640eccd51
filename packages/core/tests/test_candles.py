"""Candles: what is refused and with which words, cutting by time, identity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from marketgpt_core import Candles, CandleSeries, DataError, Interval
from marketgpt_core.candles import as_of_index
from marketgpt_core.errors import CandleError
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles


def series(symbol: str = "AAA", days: int = 6, **columns: Any) -> CandleSeries:
    """Flat candles at 10 from 2024-01-01; ``columns`` maps a field to {row: value}."""
    values = {name: np.full(days, 10.0) for name in ("open", "high", "low", "close")}
    values["volume"] = np.zeros(days)
    for name, changes in columns.items():
        for row, value in changes.items():
            values[name][row] = value
    time = np.datetime64("2024-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return CandleSeries(symbol=symbol, interval=Interval.DAY, time=time, **values)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"high": {2: 9.0}},
            (
                "AAA: 1 impossible candle: row 2 2024-01-03 high below open, close or low "
                "(O 10, H 9, L 10, C 10)"
            ),
        ),
        (
            {"low": {1: 10.5}, "high": {1: 11.0}},
            "AAA: 1 impossible candle: row 1 2024-01-02 low above open or close (O 10, H 11, L 10.5, C 10)",
        ),
        (
            {"open": {0: np.nan}},
            "AAA: 1 impossible candle: row 0 2024-01-01 price is NaN or infinite (O nan, H 10, L 10, C 10)",
        ),
        (
            {"high": {5: np.inf}},
            "AAA: 1 impossible candle: row 5 2024-01-06 price is NaN or infinite (O 10, H inf, L 10, C 10)",
        ),
        (
            {"low": {3: 0.0}, "close": {4: -1.0}},
            (
                "AAA: 2 impossible candles: row 3 2024-01-04 price is not positive (O 10, H 10, L 0, C 10); "
                "row 4 2024-01-05 price is not positive (O 10, H 10, L 10, C -1)"
            ),
        ),
        (
            {"volume": {2: -5.0}},
            (
                "AAA: 1 impossible candle: row 2 2024-01-03 volume is NaN, infinite or negative "
                "(O 10, H 10, L 10, C 10)"
            ),
        ),
        (
            {"volume": {2: np.nan}},
            (
                "AAA: 1 impossible candle: row 2 2024-01-03 volume is NaN, infinite or negative "
                "(O 10, H 10, L 10, C 10)"
            ),
        ),
    ],
)
def test_an_impossible_candle_is_shown_with_its_row(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(CandleError) as caught:
        Candles([series(**columns)])
    assert str(caught.value) == message


def test_many_impossible_candles_are_counted_and_five_are_shown() -> None:
    with pytest.raises(CandleError) as caught:
        Candles([series(days=50, close=dict.fromkeys(range(8), -1.0))], where="prices.csv")
    message = str(caught.value)
    assert message.startswith("AAA: 8 impossible candles (from prices.csv): row 0 2024-01-01 price")
    assert message.count("row ") == 5
    assert message.endswith("; ... 3 more")


def test_times_must_increase() -> None:
    one = series()
    twice, back = one.time.copy(), one.time.copy()
    twice[3] = twice[2]
    back[[1, 2]] = back[[2, 1]]
    with pytest.raises(CandleError, match=r"AAA: times must increase; row 3 \(2024-01-03\) does not follow"):
        Candles([replace(one, time=twice)])
    with pytest.raises(CandleError, match=r"row 2 \(2024-01-02\) does not follow 2024-01-03 \(from x\)"):
        Candles([replace(one, time=back)], where="x")


def test_rows_without_a_date_and_ragged_columns_are_refused() -> None:
    one = series()
    time = one.time.copy()
    time[4] = np.datetime64("NaT", "ns")
    with pytest.raises(CandleError, match="AAA: 1 rows without a date"):
        Candles([replace(one, time=time)])
    with pytest.raises(CandleError, match="AAA: columns differ in length"):
        Candles([replace(one, close=one.close[:-1])])


def test_symbols_and_intervals_must_agree() -> None:
    with pytest.raises(DataError, match=r"symbol 'AAA' is given twice \(from a\.csv\)"):
        Candles([series(), series()], where="a.csv")
    with pytest.raises(DataError, match="BBB: interval 1h among 1d"):
        Candles([series(), replace(series("BBB"), interval=Interval.HOUR)])
    with pytest.raises(DataError, match=r"'\.\./etc' is not a symbol"):
        Candles([series("../etc")])


def test_the_mapping() -> None:
    candles = Candles([series("BBB", days=3), series("AAA")])
    assert list(candles) == ["BBB", "AAA"] == list(candles.symbols)
    assert len(candles) == 2
    assert candles.num_candles == 9
    assert "AAA" in candles
    assert "CCC" not in candles
    assert repr(candles) == "Candles(2 symbols, 9 candles, 1d)"
    assert candles.start == np.datetime64("2024-01-01")
    assert candles.end == np.datetime64("2024-01-06")
    empty = Candles([], interval=Interval.HOUR)
    assert (empty.start, empty.end, empty.num_candles, empty.interval) == (None, None, 0, Interval.HOUR)


def test_select_keeps_the_order_asked_for_and_hints() -> None:
    candles = Candles([series("AAPL"), series("MSFT"), series("GOOG")])
    assert candles.select(["GOOG", "AAPL"]).symbols == ("GOOG", "AAPL")
    with pytest.raises(
        DataError, match=r"unknown symbol 'APPL'; did you mean 'AAPL'\? known: AAPL, GOOG, MSFT"
    ):
        candles.select(["APPL"])


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        ("2024-01-02", "2024-01-04", [1, 2]),
        ("2024-01-02", "2024-01-02", []),
        (None, "2024-01-03", [0, 1]),
        (date(2024, 1, 5), None, [4, 5]),
        (datetime(2024, 1, 2, tzinfo=UTC), np.datetime64("2024-01-03T00:00:01"), [1, 2]),
        (datetime(2024, 1, 3, 1, tzinfo=timezone(timedelta(hours=2))), None, [2, 3, 4, 5]),
        ("2030-01-01", None, []),
        ("2024-01-04", "2024-01-02", []),
    ],
)
def test_between_is_half_open(start: Any, end: Any, rows: list[int]) -> None:
    one = series()
    assert np.array_equal(one.between(start, end).time, one.time[rows])
    cut = Candles([one]).between(start, end)
    assert cut.symbols == (("AAA",) if rows else ())


def test_until_includes_the_moment() -> None:
    one = series()
    assert len(one.until("2024-01-03")) == 3
    assert len(one.until("2024-01-02T23:59:59")) == 2
    assert len(one.until("2023-12-31")) == 0
    both = Candles([one, replace(series("BBB"), time=one.time + np.timedelta64(30, "D"))])
    assert both.until("2024-01-03").symbols == ("AAA",)


def test_cutting_keeps_category_and_interval() -> None:
    candles = make_candles(category=Category.CRYPTO)
    cut = candles.between("2015-06-01", None)
    assert cut["AAA"].category is Category.CRYPTO
    assert cut.interval is Interval.DAY


def test_as_of_index_is_the_last_candle_known() -> None:
    one = series()
    assert as_of_index(one, datetime(2024, 1, 3, 12, tzinfo=UTC)) == 2
    assert as_of_index(one, np.datetime64("2024-01-03")) == 2
    with pytest.raises(DataError, match="AAA has no candle at or before 2023-12-31"):
        as_of_index(one, np.datetime64("2023-12-31"))


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "time"])
def test_the_fingerprint_sees_the_last_bit_of_every_field(field: str) -> None:
    one = make_candles(["AAA"], num_candles=20)["AAA"]
    base = Candles([one]).fingerprint()
    changed = getattr(one, field).copy()
    if field == "time":
        changed[-1] += np.timedelta64(1, "ns")
    else:
        # Outward for high and low, so that the candle stays legal.
        changed[7] = np.nextafter(changed[7], 0.0 if field == "low" else np.inf)
        if field in {"open", "close"}:
            one = replace(one, high=one.high * 1.1)
            base = Candles([one]).fingerprint()
    assert Candles([replace(one, **{field: changed})]).fingerprint() != base


def test_the_fingerprint_sees_names_and_not_the_order() -> None:
    one, other = series("AAA"), series("BBB")
    base = Candles([one, other]).fingerprint()
    assert Candles([other, one]).fingerprint() == base
    different = [
        [one],
        [one, series("BBC")],
        [one, replace(other, category=Category.US)],
        [one[:-1], other],
        [replace(one, interval=Interval.HOUR), replace(other, interval=Interval.HOUR)],
    ]
    prints = {Candles(pieces).fingerprint() for pieces in different}
    assert len(prints | {base}) == 6
    # A copy, not contiguous in memory, has the same identity.
    spaced = {name: np.repeat(getattr(one, name), 2)[::2] for name in ("open", "close", "time")}
    assert Candles([replace(one, **spaced), other]).fingerprint() == base


def test_get_of_an_unknown_symbol_is_the_default():
    candles = make_candles(("AAA",), num_candles=3)
    assert candles.get("AAA") is candles["AAA"]
    assert candles.get("ZZZ") is None
    assert candles.get("ZZZ", 3) == 3
