from __future__ import annotations

import threading
import time

import pytest

from marketgpt_data_sources.pacing.limiter import RateLimiter, SteadyTime


class Hand:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_requests_are_spaced_evenly() -> None:
    hand = Hand()
    limiter = RateLimiter(4.0, now=hand, sleep=hand.sleep)
    sent = []
    for _ in range(5):
        limiter.wait()
        sent.append(hand.at - 1000.0)
    assert sent == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_burst_is_paid_back() -> None:
    hand = Hand()
    limiter = RateLimiter(2.0, burst=3, now=hand, sleep=hand.sleep)
    waits = [limiter.wait() for _ in range(6)]
    assert waits == pytest.approx([0.0, 0.0, 0.0, 0.5, 0.5, 0.5])


def test_a_pause_earns_one_burst_and_no_more() -> None:
    hand = Hand()
    limiter = RateLimiter(2.0, burst=3, now=hand, sleep=hand.sleep)
    for _ in range(6):
        limiter.wait()
    hand.at += 3600
    assert [limiter.wait() for _ in range(5)] == pytest.approx([0.0, 0.0, 0.0, 0.5, 0.5])


@pytest.mark.parametrize("burst", [1, 2, 7])
@pytest.mark.parametrize("requests_per_s", [0.4, 3.0, 50.0])
def test_no_window_ever_holds_more_than_the_pace_and_one_burst(requests_per_s: float, burst: int) -> None:
    hand = Hand()
    limiter = RateLimiter(requests_per_s, burst=burst, now=hand, sleep=hand.sleep)
    sent = []
    for count in range(200):
        limiter.wait()
        sent.append(hand.at)
        hand.at += (count * 37 % 11) / 10 / requests_per_s  # comes late now and then, by a fixed rule
    for first in range(200):
        for last in range(first, 200):
            allowed = burst + (sent[last] - sent[first]) * requests_per_s
            assert last - first + 1 <= allowed + 1e-6


def test_no_pace_waits_never() -> None:
    hand = Hand()
    limiter = RateLimiter(0.0, now=hand, sleep=hand.sleep)
    assert [limiter.wait() for _ in range(100)] == [0.0] * 100
    assert hand.at == 1000.0


def test_a_redirect_takes_a_turn() -> None:
    hand = Hand()
    limiter = RateLimiter(1.0, now=hand, sleep=hand.sleep)
    limiter.wait()
    limiter.reserve(2)
    assert limiter.wait() == pytest.approx(3.0)


def test_hold_stops_everybody_and_a_shorter_one_changes_nothing() -> None:
    hand = Hand()
    limiter = RateLimiter(10.0, burst=5, now=hand, sleep=hand.sleep)
    limiter.hold(30.0)
    limiter.hold(5.0)
    assert limiter.wait() == pytest.approx(30.0)
    # The time held earns a burst like any other pause, and no more.
    assert [limiter.wait() for _ in range(5)] == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.1])


def test_threads_share_the_moments_without_losing_or_doubling_one() -> None:
    # The clock stands still and nobody waits: what each thread is told depends on the lock alone. Comparing
    # the time lets the others go on: without the lock they would take the same moment.
    class Yielding(float):
        def __gt__(self, other: float) -> bool:
            time.sleep(0)
            return float(self) > other

    limiter = RateLimiter(10.0, now=lambda: Yielding(0.0))
    told: list[list[float]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def reserve(mine: list[float]) -> None:
        start.wait()
        mine += (limiter.reserve() for _ in range(250))

    threads = [threading.Thread(target=reserve, args=(mine,)) for mine in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moments = sorted(moment for mine in told for moment in mine)
    assert moments == pytest.approx([k / 10 for k in range(2000)])
    assert all(mine == sorted(mine) for mine in told)


def test_steady_time_never_runs_back() -> None:
    hand = Hand()
    steady = SteadyTime(hand)
    assert steady() == 1000.0
    hand.at = 1010.0
    assert steady() == 1010.0
    hand.at = 10.0  # the wall clock was set back
    assert steady() == 1010.0
    hand.at = 15.0
    assert steady() == 1015.0


def test_a_wall_clock_set_back_does_not_stop_the_requests() -> None:
    hand = Hand()
    limiter = RateLimiter(1.0, now=SteadyTime(hand), sleep=hand.sleep)
    limiter.wait()
    hand.at -= 3600
    assert limiter.wait() == pytest.approx(1.0)
