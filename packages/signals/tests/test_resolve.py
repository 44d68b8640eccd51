from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_core.testing import make_candles
from marketgpt_signals.costs import CostModel
from marketgpt_signals.resolve import UNRESOLVED, Unresolved, outcome_for, resolve, resolve_all
from marketgpt_signals.testing import CREATED_AT

FREE = CostModel(fee_bps=0, slippage_bps=0, borrow_bps_per_year=0)


def series_of(opens: list[float], closes: list[float], start: str = "2016-01-04") -> CandleSeries:
    opened, closed = np.array(opens), np.array(closes)
    return CandleSeries(
        symbol="AAA",
        interval=Interval.DAY,
        time=np.busday_offset(start, np.arange(len(opened))).astype("datetime64[ns]"),
        open=opened,
        high=np.maximum(opened, closed),
        low=np.minimum(opened, closed),
        close=closed,
        volume=np.zeros(len(opened)),
    )


# Signal at the close of day 0, two bars: bought at the open of day 1, sold at the open of day 3.
SERIES = series_of(opens=[99, 100, 107, 110, 1], closes=[100, 105, 103, 1, 1])


def test_a_long_by_hand(make_signal):
    signal = make_signal(horizon_bars=2, bands=Bands(90, 95, 100, 102, 103))
    cost = CostModel(fee_bps=8, slippage_bps=2, borrow_bps_per_year=1_000)
    outcome = outcome_for(signal, SERIES, cost, resolved_at=CREATED_AT)
    assert outcome.entry_at == datetime(2016, 1, 5, tzinfo=UTC)
    assert outcome.exit_at == datetime(2016, 1, 7, tzinfo=UTC)
    assert (outcome.entry_price, outcome.exit_price) == (100.0, 110.0)
    assert outcome.forecast_return == pytest.approx(np.log(103 / 100))
    assert outcome.cost_bps == pytest.approx(10 * (1 + 1.1))
    assert outcome.net_return == pytest.approx(0.10 - 0.0021)
    assert outcome.hit is True
    assert outcome.inside_90 is True  # 103 is the band's very edge
    assert outcome.resolved_at == CREATED_AT
    assert outcome.signal_id == signal.id


def test_a_short_by_hand(make_signal):
    signal = make_signal(horizon_bars=2, side=Side.SHORT, bands=Bands(90, 95, 100, 102, 102.9))
    cost = CostModel(fee_bps=8, slippage_bps=2, borrow_bps_per_year=365.25)
    outcome = outcome_for(signal, SERIES, cost, resolved_at=CREATED_AT)
    # Two days of borrowing at 1 bp a day.
    assert outcome.cost_bps == pytest.approx(21 + 2)
    assert outcome.net_return == pytest.approx(-0.10 - 0.0023)
    assert outcome.hit is False
    assert outcome.inside_90 is False


def test_an_abstention_earns_and_costs_nothing(make_signal):
    signal = make_signal(horizon_bars=2, side=Side.FLAT)
    outcome = outcome_for(signal, SERIES, CostModel(), resolved_at=CREATED_AT)
    assert (outcome.net_return, outcome.cost_bps, outcome.hit) == (0.0, 0.0, None)
    assert outcome.forecast_return == pytest.approx(np.log(1.03))
    assert outcome.inside_90 is True


@pytest.mark.parametrize("num_candles", range(6))
def test_open_until_the_bar_it_is_sold_at_is_there(make_signal, num_candles):
    signal = make_signal(horizon_bars=2)
    outcome = outcome_for(signal, SERIES[:num_candles], FREE, resolved_at=CREATED_AT)
    assert (outcome is not None) is (num_candles >= 4)


def test_open_without_the_bar_it_was_made_on(make_signal):
    sunday = make_signal(as_of=datetime(2016, 1, 3, tzinfo=UTC), horizon_bars=1)
    assert outcome_for(sunday, SERIES, FREE, resolved_at=CREATED_AT) is None
    noon = make_signal(as_of=datetime(2016, 1, 4, 12, tzinfo=UTC), horizon_bars=1)
    assert outcome_for(noon, SERIES, FREE, resolved_at=CREATED_AT) is None
    hourly = make_signal(interval=Interval.HOUR, horizon_bars=1)
    assert outcome_for(hourly, SERIES, FREE, resolved_at=CREATED_AT) is None


def test_a_later_split_changes_nothing(make_signal):
    """Candles fetched after a 4:1 split carry other prices than the signal did."""
    split = series_of(opens=list(SERIES.open / 4), closes=list(SERIES.close / 4))
    signal = make_signal(horizon_bars=2, bands=Bands(90, 95, 100, 102, 104))
    before, after = (outcome_for(signal, one, CostModel(), resolved_at=CREATED_AT) for one in (SERIES, split))
    assert after == replace(before, entry_price=25.0, exit_price=27.5)


def test_candles_after_the_exit_do_not_matter(make_signal):
    signal = make_signal(horizon_bars=2)
    poisoned = series_of(opens=[99, 100, 107, 110, 5_000], closes=[100, 105, 103, 7_000, 9_000])
    first = outcome_for(signal, SERIES, CostModel(), resolved_at=CREATED_AT)
    assert outcome_for(signal, poisoned, CostModel(), resolved_at=CREATED_AT) == first


prices = st.lists(st.floats(0.01, 1e4), min_size=4, max_size=4)


@given(opens=prices, closes=prices, fee=st.floats(0, 500), side=st.sampled_from([Side.LONG, Side.SHORT]))
def test_costs_are_exactly_what_net_lacks_of_gross(opens, closes, fee, side):
    at = datetime(2016, 1, 4, tzinfo=UTC)
    signal = Signal(
        symbol="AAA", as_of=at, horizon_bars=2, interval=Interval.DAY, side=side, probability=0.5,
        confidence=0, close=closes[0], bands=Bands(1, 2, 3, 4, 5), expires_at=at, created_at=at,
        strategy="s", model_id="m", data_fingerprint="f",
    )  # fmt: skip
    series = series_of(opens, closes)
    gross = outcome_for(signal, series, FREE, resolved_at=at)
    net = outcome_for(signal, series, CostModel(fee_bps=fee), resolved_at=at)
    assert gross.cost_bps == 0
    assert net.cost_bps >= 0
    assert net.net_return == pytest.approx(gross.net_return - net.cost_bps / 1e4)
    assert gross.net_return == pytest.approx((1 if side is Side.LONG else -1) * (opens[3] / opens[1] - 1))
    assert net.hit == gross.hit == ((closes[2] > closes[0]) if side is Side.LONG else (closes[2] < closes[0]))


def test_resolving_a_ledger(ledger, make_signal, clock):
    candles = make_candles(["AAA", "BBB"], num_candles=30, start="2016-01-04")
    days = [datetime.fromisoformat(str(moment)[:10]).replace(tzinfo=UTC) for moment in candles["AAA"].time]
    said = [make_signal(symbol=s, as_of=day, horizon_bars=5) for s in ("AAA", "BBB", "CCC") for day in days]
    ledger.append(said)
    # 30 candles: the last that can be sold five bars later was bought at bar 24, and made at bar 23.
    assert resolve(ledger, candles, clock=clock) == 2 * 24
    assert resolve(ledger, candles, clock=clock) == 0
    assert {s.symbol for s, _ in ledger.resolved()} == {"AAA", "BBB"}
    assert {o.resolved_at for _, o in ledger.resolved()} == {clock.now()}
    outcome = ledger.resolved(symbol="BBB")[3][1]
    assert outcome.entry_price == candles["BBB"].open[4]
    assert outcome.exit_price == candles["BBB"].open[9]
    assert outcome.forecast_return == pytest.approx(np.log(candles["BBB"].close[8] / candles["BBB"].close[3]))
    assert outcome.cost_bps == pytest.approx(7 * (1 + outcome.exit_price / outcome.entry_price))
    longer = make_candles(["AAA"], num_candles=35, start="2016-01-04")
    assert resolve(ledger, longer, clock=clock) == 5


def test_the_clock_decides_nothing_but_the_stamp(ledger, make_signal, clock):
    """A clock years ahead resolves nothing that the candles do not reach."""
    ledger.append([make_signal(horizon_bars=2)])
    clock.advance(timedelta(days=3_650))
    assert resolve(ledger, Candles([SERIES[:3]]), clock=clock, cost=FREE) == 0
    assert resolve(ledger, Candles([SERIES[:4]]), clock=clock, cost=FREE) == 1


def test_what_cannot_be_known_is_told_and_written_down_once(ledger, make_signal, clock):
    """A hole of a month in the candles, and candles that end for good."""
    days = ["2016-01-04", "2016-01-05", "2016-02-15", "2016-02-16"]
    plain = series_of([100.0] * 4, [100.0] * 4)
    holed = replace(plain, time=np.array(days, dtype="datetime64[ns]"))
    ended = replace(plain, symbol="BBB")
    first = make_signal(0, horizon_bars=1)
    late, fresh = (make_signal(3, symbol="BBB", horizon_bars=bars) for bars in (1, 30))
    fresh = replace(fresh, expires_at=clock.now())
    ledger.append([first, late, fresh, make_signal(symbol="CCC")])
    candles, gone = Candles([holed, ended]), {"CCC": "delisted: gone"}
    done = resolve_all(ledger, candles, clock=clock, absent=gone)
    behind = "its candles end at 2016-01-07, before it is left: delisted, halted, or a source that is behind"
    expected = (
        Unresolved("AAA", Interval.DAY, "no candles between 2016-01-05 and 2016-02-15", (first.id,)),
        Unresolved("BBB", Interval.DAY, behind, (late.id,)),
        Unresolved("CCC", Interval.DAY, "delisted: gone", (make_signal(symbol="CCC").id,)),
    )
    assert (done.num_written, done.unresolved) == (0, expected)
    stated = ledger.events(kind=UNRESOLVED)
    assert [event.payload for event in stated] == [one.to_json() for one in expected]
    # Again: reported, and not written down a second time.
    assert resolve_all(ledger, candles, clock=clock, absent=gone).unresolved == expected
    assert ledger.events() == stated
    # The bar turned up after all.
    whole = replace(
        plain, time=np.array(["2016-01-04", "2016-01-05", "2016-01-06", "2016-01-07"], dtype="M8[ns]")
    )
    assert resolve(ledger, Candles([whole]), clock=clock) == 1
    assert [signal for signal, _ in ledger.resolved()] == [first]
