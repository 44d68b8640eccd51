from __future__ import annotations

import threading

import pytest

from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_data_sources.pacing.breaker import CircuitBreaker, CircuitOpenError

DOWN = FetchError("ACME: no route", reason=FetchReason.UNREACHABLE)


class Bench:
    """A breaker with a clock of its own: opens after 3 failures, pauses 60 s, gives up at the 2nd opening."""

    def __init__(self, failures: int = 3, openings: int = 2) -> None:
        self.at = 0.0
        self.slept: list[float] = []
        self.breaker = CircuitBreaker(failures, 60.0, openings, now=lambda: self.at, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.breaker.failed(self.breaker.admit("ACME"), DOWN)


def test_failures_in_a_row_open_it() -> None:
    bench = Bench()
    bench.fail(2)
    assert not bench.breaker.is_open
    bench.fail(1)
    assert bench.breaker.is_open
    assert bench.slept == []


def test_a_success_between_them_starts_the_count_again() -> None:
    bench = Bench()
    bench.fail(2)
    bench.breaker.succeeded(bench.breaker.admit("ACME"))
    bench.fail(2)
    assert not bench.breaker.is_open


def test_who_comes_while_it_is_open_waits_and_is_the_probe() -> None:
    bench = Bench()
    bench.fail(3)
    bench.at += 20
    probe = bench.breaker.admit("ACME")
    assert probe
    assert bench.slept == [40.0]
    bench.breaker.succeeded(probe)
    assert not bench.breaker.is_open
    assert not bench.breaker.admit("ACME")


def test_gives_up_when_the_probe_fails_too() -> None:
    bench = Bench()
    bench.fail(4)  # the fourth is the probe
    assert bench.slept == [60.0]
    with pytest.raises(
        CircuitOpenError, match=r"OTHER: not asked for after 4 failures in a row.*no route"
    ) as refused:
        bench.breaker.admit("OTHER")
    assert refused.value.reason is FetchReason.UNREACHABLE
    assert refused.value.retry_after_s == 60.0
    assert bench.slept == [60.0]


def test_tries_again_by_itself_once_the_pause_is_over() -> None:
    bench = Bench()
    bench.fail(4)
    bench.at += 60
    probe = bench.breaker.admit("ACME")
    assert probe
    with pytest.raises(CircuitOpenError):
        bench.breaker.admit("OTHER")  # nobody waits for the probe of a breaker that has given up
    bench.breaker.succeeded(probe)
    bench.fail(3)
    bench.breaker.succeeded(bench.breaker.admit("ACME"))  # a success forgot the openings: it waited again
    assert bench.slept == [60.0, 60.0]


def test_stragglers_of_an_open_breaker_prolong_nothing() -> None:
    bench = Bench()
    straggler = bench.breaker.admit("SLOW")
    bench.fail(3)
    bench.at += 30
    bench.breaker.failed(straggler, DOWN)
    bench.breaker.admit("ACME")
    assert bench.slept == [30.0]


def test_a_stragglers_success_closes_it() -> None:
    bench = Bench()
    straggler = bench.breaker.admit("SLOW")
    bench.fail(3)
    bench.breaker.succeeded(straggler)
    assert not bench.breaker.is_open


def test_giving_up_at_once_names_the_pause() -> None:
    bench = Bench()
    throttled = FetchError("ACME: throttled", reason=FetchReason.THROTTLED)
    bench.breaker.give_up(bench.breaker.admit("ACME"), throttled, 3600.0)
    bench.at += 600
    with pytest.raises(CircuitOpenError, match=r"OTHER: not asked for .*throttled") as refused:
        bench.breaker.admit("OTHER")
    assert refused.value.reason is FetchReason.THROTTLED
    assert refused.value.retry_after_s == 3000.0


def _threads(count: int, target) -> list[threading.Thread]:
    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.mark.parametrize("fate", ["succeeded", "undecided"])
def test_one_thread_is_the_probe_and_the_others_wait_for_it(fate: str) -> None:
    bench = Bench()
    bench.fail(3)
    bench.at += 60
    probe = bench.breaker.admit("ACME")
    assert probe
    admitted: list[bool] = []

    def come() -> None:
        mine = bench.breaker.admit("OTHER")
        admitted.append(mine)
        bench.breaker.succeeded(mine)

    threads = _threads(6, come)
    assert admitted == []  # whatever the scheduler did so far: none passes a probe that is under way
    if fate == "succeeded":
        bench.breaker.succeeded(probe)
    else:
        bench.breaker.undecided(probe)
    _join(threads)
    # Of an undecided probe one of those who waited takes the place.
    assert sorted(admitted) == [False] * (6 if fate == "succeeded" else 5) + [True] * (fate == "undecided")
    assert bench.slept == []


def test_threads_that_wait_for_a_probe_are_told_that_it_failed() -> None:
    bench = Bench(openings=2)
    bench.fail(3)
    bench.at += 60
    probe = bench.breaker.admit("ACME")
    refused: list[CircuitOpenError] = []

    def come() -> None:
        try:
            bench.breaker.admit("OTHER")
        except CircuitOpenError as error:
            refused.append(error)

    threads = _threads(6, come)
    bench.breaker.failed(probe, DOWN)
    _join(threads)
    assert len(refused) == 6
