from __future__ import annotations

import threading
import time

import pytest

from marketgpt_training.prefetch import prefetched


def test_items_come_in_their_order_from_another_thread():
    makers = set()

    def items():
        for number in range(50):
            makers.add(threading.current_thread())
            yield number

    assert list(prefetched(items())) == list(range(50))
    assert makers.isdisjoint({threading.current_thread()})
    assert not any(one.is_alive() for one in makers)


def test_no_more_than_asked_for_is_made_ahead():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    taken = prefetched(items(), ahead=3)
    assert next(taken) == 0
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        # One taken, three that wait, one whose maker waits for room.
        assert len(made) <= 1 + 3 + 1
    taken.close()
    assert len(made) <= 5


def test_what_making_raises_is_raised_at_its_turn():
    def items():
        yield 1
        raise ValueError("no more candles")

    taken = prefetched(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="no more candles"):
        next(taken)


def test_whoever_leaves_early_leaves_no_thread():
    before = threading.active_count()
    for number in prefetched(iter(range(1_000_000))):
        if number == 3:
            break
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        pass
    assert threading.active_count() == before


def test_an_item_that_is_none_is_an_item():
    assert list(prefetched([None, None])) == [None, None]
