"""The page in NiceGUI's simulation of a user: no browser, no server."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from nicegui import ui
from nicegui.testing import user_simulation

from marketgpt_core.clock import FixedClock
from marketgpt_core.times import to_datetime
from marketgpt_monitoring.base import DashboardPanel
from marketgpt_monitoring.dashboard import panel_host
from marketgpt_monitoring.dashboard.page import PageSettings, build_page
from marketgpt_monitoring.dashboard.watch import LedgerWatch
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal

POLL_S = 0.05


@pytest.fixture
def visit(reader, candles, clock):
    """Open the page; ``panels`` narrows it to some."""

    @asynccontextmanager
    async def open_page(*, ledger=None, panels=None, symbol="", at=None, of_candles=None):
        settings = PageSettings(
            reader=ledger if ledger is not None else reader,
            candles=of_candles or dict(candles).get,
            clock=at or clock,
            watch=LedgerWatch(ledger if ledger is not None else reader, interval_s=POLL_S),
            panels=panels,
            poll_interval_s=POLL_S,
            title="MarketGPT",
        )
        async with user_simulation(root=lambda: build_page(settings, symbol=symbol)) as user:
            await user.open("/")
            yield user
            # Python 3.11 loses a cancellation that meets a message; NiceGUI would wait two seconds for it.
            outbox = user.client.outbox
            await until(lambda: not outbox.updates and not outbox.messages, what="the last message")

    return open_page


async def until(condition, *, what):
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def found(user, *, kind=None, marker=None):
    try:
        return list(user.find(kind=kind, marker=marker).elements)
    except AssertionError:
        return []


def rows_of(user):
    tables = found(user, kind=ui.table)
    return tables[0].rows if tables else []


def text_of(user, marker):
    (label,) = found(user, marker=marker)
    return label.text


def newer(candles, symbol="AAPL", **changes):
    series = candles[symbol]
    return make_signal(
        symbol,
        as_of=to_datetime(series.time[-1]) + timedelta(days=3),
        close=float(series.close[-1]),
        **changes,
    )


def test_the_page_shows_every_panel_in_order(visit):
    async def scenario():
        async with visit() as user:
            await until(lambda: found(user, kind=ui.echart) and len(rows_of(user)) == 3, what="the panels")
            sections = [
                next(iter(element._markers))
                for element in user.current_layout.descendants()
                if element.tag == "section"
            ]
            assert sections == ["panel-candles", "panel-signals", "panel-track_record"]
            assert text_of(user, "model") == "market_gpt-000000000000"
            assert text_of(user, "status") == "Live"
            assert [row["horizon"] for row in rows_of(user)] == ["1d", "1w", "1m"]
            await user.should_see("90% band held (mark: 90%)", retries=50)

    asyncio.run(scenario())


def test_a_new_signal_appears_without_a_reload_and_the_chart_stays(visit, reader, candles):
    async def scenario():
        async with visit() as user:
            await until(lambda: found(user, kind=ui.echart) and rows_of(user), what="the panels")
            (chart,) = found(user, kind=ui.echart)
            before = text_of(user, "as-of")
            reader.append(newer(candles, horizon_bars=5, probability=0.91, reason="a new one"))
            await until(lambda: any(row["reason"] == "a new one" for row in rows_of(user)), what="the row")
            assert text_of(user, "as-of") > before
            assert found(user, kind=ui.echart) == [chart]
            line = next(one for one in chart.options["series"] if one["id"] == "q50")
            assert line["data"][-4] is not None

    asyncio.run(scenario())


def test_nothing_new_nothing_sent(visit):
    async def scenario():
        async with visit() as user:
            await until(lambda: rows_of(user) and found(user, marker="panel-track_record"), what="the panels")
            await asyncio.sleep(5 * POLL_S)
            messages = user.client.outbox.next_message_id
            await asyncio.sleep(5 * POLL_S)
            assert user.client.outbox.next_message_id == messages

    asyncio.run(scenario())


def test_choosing_another_symbol_changes_every_panel(visit):
    async def scenario():
        async with visit() as user:
            await until(lambda: found(user, kind=ui.echart) and rows_of(user), what="the panels")
            (chart,) = found(user, kind=ui.echart)
            first = rows_of(user)
            (select,) = found(user, kind=ui.select)
            assert select.options == ["AAPL", "MSFT"]
            with user:
                select.set_value("MSFT")
            await until(lambda: rows_of(user) and rows_of(user) != first, what="other rows")
            await until(lambda: found(user, kind=ui.echart) not in ([], [chart]), what="another chart")

    asyncio.run(scenario())


def test_choosing_another_horizon_moves_the_marks(visit):
    async def scenario():
        async with visit() as user:
            await until(lambda: found(user, kind=ui.echart), what="the chart")
            (chart,) = found(user, kind=ui.echart)
            marks = [one["data"] for one in chart.options["series"] if one["id"] == "LONG"]
            (toggle,) = found(user, marker="horizon")
            assert toggle.options == {1: "1d", 5: "1w", 21: "1m"}
            with user:
                toggle.set_value(21)
            await until(
                lambda: [one["data"] for one in chart.options["series"] if one["id"] == "LONG"] != marks,
                what="other marks",
            )

    asyncio.run(scenario())


def test_a_symbol_in_the_address_is_taken_only_if_the_ledger_has_it(visit):
    async def scenario(symbol, expected):
        async with visit(symbol=symbol, panels={"signals": {}}) as user:
            await until(lambda: rows_of(user), what="the rows")
            assert found(user, kind=ui.select)[0].value == expected

    asyncio.run(scenario("MSFT", "MSFT"))
    asyncio.run(scenario("<script>alert(1)</script>", "AAPL"))


def test_an_empty_ledger_says_so_and_fills_later(visit, candles):
    ledger = MemoryReader()

    async def scenario():
        async with visit(ledger=ledger) as user:
            await until(lambda: found(user, marker="status"), what="the header")
            await user.should_see("No signals", retries=50)
            ledger.append(newer(candles, "MSFT"))
            await until(lambda: len(rows_of(user)) == 1, what="the first signal")

    asyncio.run(scenario())


def test_signals_that_all_expired_are_not_called_live(visit, clock):
    late = FixedClock(clock.now() + timedelta(days=400))

    async def scenario():
        async with visit(at=late, panels={"signals": {}}) as user:
            await until(lambda: rows_of(user), what="the rows")
            assert text_of(user, "status") == "Expired"
            assert all(row["expired"] and row["expires"].endswith("(expired)") for row in rows_of(user))

    asyncio.run(scenario())


class RaisingPanel(DashboardPanel):
    title = "Raising"
    order = 1
    healthy = False

    def render(self, context):
        if not self.healthy:
            raise RuntimeError("no <b>tea</b>")
        ui.label("tea is served")


class LatePanel(DashboardPanel):
    title = "Late"
    order = 2

    async def render(self, context):
        await asyncio.sleep(0)
        ui.label("late but here")

    def refresh(self, context):
        raise ValueError("cannot refresh")


@pytest.fixture
def more_panels(monkeypatch):
    """Install the two panels above beside ours."""
    ours = panel_host.dashboard_panels()

    class Registry:
        def names(self):
            return [*ours.names(), "raising", "late", "unmakeable"]

        def create(self, name, options, *, where):
            if name == "unmakeable":
                raise ImportError("no module named 'tea'")
            classes = {"raising": RaisingPanel, "late": LatePanel}
            if name in classes:
                return classes[name](classes[name].Config(**options))
            return ours.create(name, options, where=where)

    monkeypatch.setattr(panel_host, "dashboard_panels", Registry)


def test_a_panel_that_fails_shows_its_error_and_harms_no_other(
    visit, more_panels, monkeypatch, reader, candles
):
    monkeypatch.setattr(logging.getLogger("marketgpt_monitoring.dashboard.panel_host"), "disabled", True)

    async def scenario():
        async with visit() as user:
            await until(lambda: rows_of(user) and found(user, kind=ui.echart), what="the healthy panels")
            await user.should_see("RuntimeError: no <b>tea</b>")  # as text: a label escapes
            await user.should_see("ImportError: no module named 'tea'")
            await user.should_see("late but here")
            assert not found(user, kind=ui.html)
            # A refresh that fails shows the error; the next one builds the panel anew.
            reader.append(newer(candles, horizon_bars=5))
            await user.should_see("ValueError: cannot refresh", retries=50)
            monkeypatch.setattr(RaisingPanel, "healthy", True)
            reader.append(newer(candles, horizon_bars=21))
            await user.should_see("tea is served", retries=50)
            await user.should_see("late but here", retries=50)
            assert len(rows_of(user)) == 3

    asyncio.run(scenario())


def test_wrong_options_of_one_panel_leave_the_others(visit, caplog):
    async def scenario():
        async with visit(panels={"signals": {}, "candles": {"num_candle": 3}, "nothing": {}}) as user:
            await until(lambda: rows_of(user), what="the rows")
            await user.should_see("no such key 'num_candle'", retries=50)
            await user.should_see("unknown dashboard-panel 'nothing'", retries=50)

    asyncio.run(scenario())


def test_a_ledger_that_cannot_be_read_leaves_what_is_shown_and_recovers(visit, reader, monkeypatch):
    async def scenario():
        async with visit(panels={"signals": {}}) as user:
            await until(lambda: rows_of(user), what="the rows")
            whole = reader.symbols

            def locked():
                raise OSError("database is locked")

            monkeypatch.setattr(reader, "symbols", locked)
            await user.should_see("Ledger unavailable", retries=50)
            assert len(rows_of(user)) == 3
            monkeypatch.setattr(reader, "symbols", whole)
            await user.should_see("Live", retries=50)

    asyncio.run(scenario())


def test_candles_that_cannot_be_read_harm_only_what_needs_them(visit):
    def fail(symbol):
        raise OSError("the disk is gone")

    async def scenario():
        async with visit(of_candles=fail, panels={"candles": {}}) as user:
            await user.should_see("OSError: the disk is gone", retries=50)
            assert text_of(user, "status") == "Live"

    asyncio.run(scenario())


def test_the_track_record_can_be_taken_over_all_symbols(visit):
    async def scenario():
        async with visit(panels={"track_record": {}}) as user:
            await user.should_see("108", retries=50)  # of 150 candles, the first signal after 40
            toggle = next(one for one in found(user, kind=ui.toggle) if "All symbols" in one.options)
            with user:
                toggle.set_value("All symbols")
            await user.should_see("216", retries=50)

    asyncio.run(scenario())
