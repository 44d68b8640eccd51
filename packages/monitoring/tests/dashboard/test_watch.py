from __future__ import annotations

import asyncio
from threading import Event

import pytest

from marketgpt_monitoring.dashboard.watch import LedgerState, LedgerWatch
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal


class Counting(MemoryReader):
    reads = 0
    gate: Event | None = None

    def symbols(self):
        type(self).reads += 1
        if self.gate is not None:
            self.gate.wait(5)
        return super().symbols()


@pytest.fixture
def ledger(monkeypatch):
    monkeypatch.setattr(Counting, "reads", 0)
    return Counting([make_signal("AAA", horizon_bars=bars) for bars in (5, 1)] + [make_signal("BBB")])


def test_many_viewers_make_one_read(ledger):
    async def scenario():
        watch = LedgerWatch(ledger, interval_s=60.0)
        ledger.gate = Event()
        waiting = [asyncio.create_task(watch.state("AAA")) for _ in range(20)]
        await asyncio.sleep(0)
        ledger.gate.set()
        states = await asyncio.gather(*waiting)
        assert len({id(state) for state in states}) == 1
        await watch.state("AAA")
        assert ledger.reads == 1
        await watch.state("BBB")
        assert ledger.reads == 2

    asyncio.run(scenario())


def test_after_the_interval_it_reads_again(ledger):
    async def scenario():
        watch = LedgerWatch(ledger, interval_s=1e-9)
        before = await watch.state("AAA")
        ledger.append(make_signal("AAA", horizon_bars=21))
        after = await watch.state("AAA")
        assert (before.horizons, after.horizons) == ((1, 5), (1, 5, 21))

    asyncio.run(scenario())


def test_a_viewer_who_leaves_cancels_nobody_elses_read(ledger):
    async def scenario():
        watch = LedgerWatch(ledger, interval_s=60.0)
        ledger.gate = Event()
        leaving = asyncio.create_task(watch.state("AAA"))
        staying = asyncio.create_task(watch.state("AAA"))
        await asyncio.sleep(0)
        leaving.cancel()
        ledger.gate.set()
        assert (await staying).symbols == ("AAA", "BBB")
        with pytest.raises(asyncio.CancelledError):
            await leaving

    asyncio.run(scenario())


def test_an_unknown_symbol_gives_the_first(ledger):
    async def scenario():
        watch = LedgerWatch(ledger, interval_s=60.0)
        assert {signal.symbol for signal in (await watch.state("NONE")).newest} == {"AAA"}
        assert await LedgerWatch(MemoryReader(), interval_s=1.0).state(None) == LedgerState((), ())

    asyncio.run(scenario())
