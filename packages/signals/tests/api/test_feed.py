from __future__ import annotations

import asyncio
import json
import threading

import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.signal import Side
from marketgpt_core.symbols import Category
from marketgpt_signals.api import feed as feed_module
from marketgpt_signals.api.feed import Feed
from marketgpt_signals.queries import SignalFilter

EVERYTHING = SignalFilter()


def events(chunk: bytes) -> list[tuple[int, str]]:
    """Return (id, symbol) of the signals in a chunk."""
    found = []
    for block in chunk.decode().split("\r\n\r\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\r\n") if not line.startswith(":"))
        if fields.get("event") == "signal":
            found.append((int(fields["id"]), json.loads(fields["data"])["symbol"]))
    return found


async def take(feed, number, *, wanted=EVERYTHING, after=None, started=None):
    """Listen until so many signals came."""
    found = []
    stream = feed.listen(wanted, await feed.position(after), lambda: False)
    async for chunk in stream:
        if started is not None:
            started.set()
        found += events(chunk)
        if len(found) >= number:
            break
    await stream.aclose()
    return found


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


@pytest.fixture
def feed(sqlite_ledger, clock):
    return Feed(sqlite_ledger, clock, every_s=0.01)


def test_new_signals_come_once_in_the_order_of_writing(feed, sqlite_ledger, make_signal):
    sqlite_ledger.append([make_signal(0)])

    async def main():
        started = asyncio.Event()
        listening = asyncio.create_task(take(feed, 3, started=started))
        await started.wait()
        while not feed._listeners:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(1), make_signal(2, symbol="BBB")])
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(3)])
        return await listening

    assert run(main()) == [(2, "AAA"), (3, "BBB"), (4, "AAA")]
    assert feed.num_open == 0


def test_who_comes_back_after_any_event_misses_nothing_and_gets_nothing_twice(
    feed, sqlite_ledger, make_signal
):
    """A writer goes on while the connection is lost again and again."""

    def write() -> None:
        for day in range(100):
            sqlite_ledger.append([make_signal(day)])

    async def main():
        writer = threading.Thread(target=write)
        writer.start()
        found, after = [], 0
        while len(found) < 100:
            part = await take(feed, min(1 + len(found) % 7, 100 - len(found)), after=after)
            found += part
            after = part[-1][0]
        writer.join()
        return [seq for seq, _ in found]

    assert run(main()) == list(range(1, 101))


def test_filters(feed, sqlite_ledger, make_signal):
    sqlite_ledger.append(
        [
            make_signal(0, probability=0.7),
            make_signal(1, side=Side.SHORT, probability=0.2),
            make_signal(2, symbol="BTC-USD", horizon_bars=10),
        ]
    )

    async def main():
        return [
            [seq for seq, _ in await take(feed, 1, wanted=wanted, after=0)]
            for wanted in (
                SignalFilter(symbol="BTC-USD"),
                SignalFilter(side=Side.SHORT),
                SignalFilter(horizon_bars=10),
                SignalFilter(min_probability=0.75),
                SignalFilter(since=make_signal(2).as_of),
                SignalFilter(market=Category.CRYPTO),
            )
        ]

    assert run(main()) == [[3], [2], [3], [2], [3], [3]]


def test_one_reader_reads_for_all(feed, sqlite_ledger, make_signal, monkeypatch):
    calls = []
    read = sqlite_ledger.written

    def counted(*args, **options):
        calls.append(args)
        return read(*args, **options)

    monkeypatch.setattr(sqlite_ledger, "written", counted)

    async def main():
        listening = [asyncio.create_task(take(feed, 5)) for _ in range(50)]
        while len(feed._listeners) < 50:
            await asyncio.sleep(0.01)
        calls.clear()
        begun = asyncio.get_running_loop().time()
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(day) for day in range(5)])
        found = await asyncio.gather(*listening)
        return found, len(calls), asyncio.get_running_loop().time() - begun

    found, num_calls, taken_s = run(main())
    assert all([seq for seq, _ in one] == [1, 2, 3, 4, 5] for one in found)
    assert num_calls <= taken_s / 0.01 + 2  # a look every 10 ms, however many listen


def test_who_is_slow_is_let_go_and_harms_nobody(feed, sqlite_ledger, make_signal, monkeypatch):
    monkeypatch.setattr(feed_module, "_MOST_WAITING", 20)
    monkeypatch.setattr(feed_module, "_BATCH", 10)
    monkeypatch.setattr(feed_module, "_MOST_PATIENCE_S", 0.05)

    async def main():
        slow = feed.listen(EVERYTHING, 0, lambda: False)
        await anext(slow)  # it is listening, and takes no more for now
        waiting = asyncio.create_task(anext(slow))
        fast = [asyncio.create_task(take(feed, 100)) for _ in range(3)]
        while len(feed._listeners) < 4:
            await asyncio.sleep(0.001)
        for start in range(0, 100, 10):
            signals = [make_signal(day) for day in range(start, start + 10)]
            await asyncio.to_thread(sqlite_ledger.append, signals)
        whole = await asyncio.gather(*fast)
        while not feed.num_let_go:
            await asyncio.sleep(0.001)
        got = events(await waiting)
        rest = [chunk async for chunk in slow]
        again = await take(feed, 100 - len(got), after=got[-1][0])
        return whole, got, rest, again

    whole, got, rest, again = run(main())
    assert all([seq for seq, _ in one] == list(range(1, 101)) for one in whole)
    assert feed.num_let_go == 1
    assert b"too slow" in rest[-1]
    assert not events(b"".join(rest))  # nothing after a gap
    assert [seq for seq, _ in got + again] == list(range(1, 101))


def test_silence_is_told_with_the_number_it_lasts_up_to(sqlite_ledger, clock, make_signal):
    feed = Feed(sqlite_ledger, clock, every_s=0.01, heartbeat_s=0.05)
    sqlite_ledger.append([make_signal(0)])

    async def main():
        stream = feed.listen(SignalFilter(symbol="ZZZ"), await feed.position(0), lambda: False)
        chunks = [await anext(stream) for _ in range(2)]
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(1)])
        while b"id: 2" not in chunks[-1]:
            chunks.append(await anext(stream))
        await stream.aclose()
        return b"".join(chunks)

    told = run(main())
    assert b"nothing new" in told
    assert not events(told)


def test_a_gap_in_the_numbers_stops_nothing(feed, sqlite_ledger, make_signal):
    """A server numbers rows that were rolled back, too."""
    sqlite_ledger.append([make_signal(0)])
    with sqlite_ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = 9000 WHERE name = 'signals'")

    async def main():
        started = asyncio.Event()
        listening = asyncio.create_task(take(feed, 1, started=started))
        await started.wait()
        while not feed._listeners:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(1)])
        return await listening, await take(feed, 2, after=0)

    assert run(main()) == ([(9001, "AAA")], [(1, "AAA"), (9001, "AAA")])


def test_a_number_of_another_ledger_is_refused(feed, sqlite_ledger, make_signal):
    sqlite_ledger.append([make_signal(0)])
    with pytest.raises(DataError, match="Last-Event-ID 2 is not of this ledger, whose newest signal is 1"):
        run(feed.position(2))
    assert run(feed.position(1)) == 1


def test_a_ledger_that_is_away_for_a_while_ends_no_stream(feed, sqlite_ledger, make_signal, monkeypatch):
    read, broken = sqlite_ledger.written, threading.Event()

    def sometimes(*args, **options):
        if broken.is_set():
            raise DataError("away")
        return read(*args, **options)

    monkeypatch.setattr(sqlite_ledger, "written", sometimes)

    async def main():
        started = asyncio.Event()
        listening = asyncio.create_task(take(feed, 1, started=started))
        await started.wait()
        broken.set()
        await asyncio.to_thread(sqlite_ledger.append, [make_signal(0)])
        await asyncio.sleep(0.05)
        assert not listening.done()
        broken.clear()
        return await listening

    assert run(main()) == [(1, "AAA")]


def test_closing_ends_every_stream(feed, sqlite_ledger):
    async def main():
        listening = [asyncio.create_task(take(feed, 1)) for _ in range(3)]
        while len(feed._listeners) < 3:
            await asyncio.sleep(0.001)
        feed.close()
        return await asyncio.gather(*listening), await take(feed, 1)

    assert run(main()) == ([[], [], []], [])


def test_a_server_that_wants_to_stop_ends_every_stream(feed):
    stop = threading.Event()

    async def main():
        streams = [feed.listen(EVERYTHING, 0, stop.is_set) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.create_task(anext(stream)) for stream in streams]
        while len(feed._listeners) < 3:
            await asyncio.sleep(0.001)
        stop.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(one) for one in run(main())] == [StopAsyncIteration] * 3
