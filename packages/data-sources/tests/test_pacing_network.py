from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import ConfigError, FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource


class Vendor(NetworkSource):
    """Asks nobody: a test says what happens."""

    class Config(NetworkConfig):
        requests_per_s: float = 0.0

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def fetch(self, symbols: Any, **options: Any) -> Candles:
        raise NotImplementedError


Opener = Callable[..., Vendor]


@pytest.fixture
def opened(clock, sleeper) -> Opener:
    def opened(**options: Any) -> Vendor:
        source = Vendor(Vendor.Config(**options))
        source.clock, source.sleep, source.rng = clock, sleeper, random.Random(0)
        return source

    return opened


class Answers:
    """Raises these one after another, then answers for ever."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def _throttled(retry_after_s: float | None = None) -> FetchError:
    return FetchError("ACME: 429", reason=FetchReason.THROTTLED, retry_after_s=retry_after_s)


def test_an_answer_costs_one_call_and_no_wait(opened: Opener, sleeper) -> None:
    answers = Answers()
    assert opened().ask("ACME", answers) == "answer"
    assert answers.calls == 1
    assert sleeper.waited_s == []


def test_waits_are_drawn_from_a_doubling_range(opened: Opener, sleeper) -> None:
    expected = random.Random(0)
    assert opened(backoff_s=2.0).ask("ACME", Answers(*[_throttled() for _ in range(3)])) == "answer"
    assert sleeper.waited_s == [expected.uniform(0, limit) for limit in (2.0, 4.0, 8.0)]


def test_retry_after_is_the_least_wait(opened: Opener, sleeper) -> None:
    assert opened(backoff_s=2.0).ask("ACME", Answers(_throttled(30.0), _throttled())) == "answer"
    first, second = sleeper.waited_s
    assert first == 30.0
    assert second <= 4.0


def test_retry_after_holds_for_every_symbol(opened: Opener, sleeper) -> None:
    source = opened(max_attempts=1)
    with pytest.raises(FetchError):
        source.ask("ACME", Answers(_throttled(30.0)))
    assert source.ask("OTHER", Answers()) == "answer"
    assert sleeper.waited_s == [30.0]


def test_retry_after_beyond_patience_stops_everything(opened: Opener, sleeper, clock) -> None:
    source = opened(max_backoff_s=60.0)
    first, other = Answers(_throttled(3600.0)), Answers()
    with pytest.raises(CircuitOpenError, match=r"ACME: 429; it asks to wait 3600 s, more than") as stopped:
        source.ask("ACME", first)
    assert (stopped.value.reason, stopped.value.retry_after_s) == (FetchReason.THROTTLED, 3600.0)
    with pytest.raises(CircuitOpenError, match="OTHER: not asked for"):
        source.ask("OTHER", other)
    assert (first.calls, other.calls) == (1, 0)
    assert sleeper.waited_s == []
    sleeper(3600.0)
    assert source.ask("OTHER", other) == "answer"


def test_the_last_error_counts_the_attempts(opened: Opener, sleeper) -> None:
    answers = Answers(*[_throttled() for _ in range(9)])
    with pytest.raises(FetchError, match=r"^ACME: 429 \(3 attempts\)$") as failed:
        opened(max_attempts=3).ask("ACME", answers)
    assert failed.value.reason is FetchReason.THROTTLED
    assert answers.calls == 3
    assert len(sleeper.waited_s) == 2


@pytest.mark.parametrize("reason", [FetchReason.DELISTED, FetchReason.EMPTY, FetchReason.BAD_DATA])
def test_what_stays_is_asked_once_and_says_that_the_server_answers(
    opened: Opener, reason: FetchReason
) -> None:
    source = opened(breaker_failures=2, max_attempts=1)
    for error in (_throttled(), FetchError("GONE: no", reason=reason), _throttled()):
        answers = Answers(error)
        with pytest.raises(FetchError):
            source.ask("ACME", answers)
        assert answers.calls == 1
    assert not source.breaker.is_open


def test_a_bad_answer_neither_opens_the_breaker_nor_clears_it(opened: Opener) -> None:
    source = opened(breaker_failures=2, max_attempts=1)
    bad = FetchError("ACME: a page", reason=FetchReason.BAD_ANSWER)
    for error, is_open in (
        (bad, False),
        (bad, False),
        (_throttled(), False),
        (bad, False),
        (_throttled(), True),
    ):
        with pytest.raises(FetchError):
            source.ask("ACME", Answers(error))
        assert source.breaker.is_open is is_open


def test_an_outage_is_met_with_pauses_and_then_with_silence(opened: Opener, sleeper) -> None:
    source = opened(max_attempts=1, breaker_failures=3, breaker_cooldown_s=60.0, breaker_openings=2)
    sent = 0

    def down() -> None:
        nonlocal sent
        sent += 1
        raise ConnectionRefusedError("nobody there")

    raised = []
    for k in range(10):
        with pytest.raises(FetchError) as failed:
            source.ask(f"S{k}", down)
        raised.append(type(failed.value))
    # Three requests until it opens, one after the pause, and then none.
    assert sent == 4
    assert sleeper.waited_s == [60.0]
    assert raised == [FetchError] * 4 + [CircuitOpenError] * 6


def test_operating_system_errors_are_the_network(opened: Opener) -> None:
    with pytest.raises(FetchError, match=r"ACME: cannot be reached \(TimeoutError: slow\)") as failed:
        opened(max_attempts=1).ask("ACME", Answers(TimeoutError("slow")))
    assert failed.value.reason is FetchReason.UNREACHABLE
    assert isinstance(failed.value.__cause__, TimeoutError)


@pytest.mark.parametrize("error", [RuntimeError("a defect"), ConfigError("a mistake"), KeyboardInterrupt()])
def test_other_errors_pass_through_at_once(opened: Opener, sleeper, error: BaseException) -> None:
    answers = Answers(error)
    with pytest.raises(type(error)) as raised:
        opened().ask("ACME", answers)
    assert raised.value is error
    assert answers.calls == 1
    assert sleeper.waited_s == []


def test_a_probe_that_is_interrupted_leaves_its_place_to_the_next(opened: Opener, sleeper) -> None:
    source = opened(max_attempts=1, breaker_failures=1)
    with pytest.raises(FetchError):
        source.ask("ACME", Answers(_throttled()))
    with pytest.raises(KeyboardInterrupt):
        source.ask("ACME", Answers(KeyboardInterrupt()))
    assert source.ask("ACME", Answers()) == "answer"
    assert sleeper.waited_s == [60.0]


def test_the_pace_counts_every_attempt(opened: Opener, sleeper, clock) -> None:
    source = opened(requests_per_s=0.5, burst=1, backoff_s=0.0)
    began = clock.now()
    assert source.ask("ACME", Answers(_throttled(), _throttled())) == "answer"
    assert source.ask("OTHER", Answers()) == "answer"
    assert (clock.now() - began).total_seconds() == pytest.approx(6.0)


def test_a_transport_that_keeps_the_pace_is_not_made_to_wait_twice(clock, sleeper) -> None:
    class Own(Vendor):
        paced_by_transport = True

    source = Own(Own.Config(requests_per_s=1.0, burst=1))
    source.clock, source.sleep = clock, sleeper

    def two_requests() -> None:
        source.limiter.wait()
        source.limiter.wait()

    source.ask("ACME", two_requests)
    source.ask("OTHER", two_requests)
    assert sleeper.waited_s == [1.0, 1.0, 1.0]


def test_a_clock_set_after_opening_is_the_one_it_keeps(sleeper) -> None:
    source = Vendor(Vendor.Config(requests_per_s=1.0, burst=1))  # opened by the machine's clock
    source.clock, source.sleep = sleeper.clock, sleeper  # years before
    for _ in range(3):
        source.ask("ACME", Answers())
    assert sleeper.waited_s == [pytest.approx(1.0)] * 2


def test_waits_are_told(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    opened().ask("ACME", Answers(_throttled(12.0)))
    assert "ACME: 429; attempt 2 in 12.0 s" in caplog.text


def test_threads_share_pace_and_breaker() -> None:
    clock = FixedClock(datetime(2024, 6, 3, tzinfo=UTC))  # stands still: nobody may wait
    source = Vendor(Vendor.Config(max_concurrency=8, burst=1000, breaker_failures=1000, max_attempts=1))
    source.clock = clock
    assert source.max_concurrency == 8
    answered: list[str] = []
    failed: list[FetchReason] = []
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for k in range(100):
            try:
                answered.append(source.ask(f"S{k}", Answers(*[_throttled()] * (k % 2))))
            except FetchError as error:
                failed.append(error.reason)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answered == ["answer"] * 400
    assert failed == [FetchReason.THROTTLED] * 400
    assert not source.breaker.is_open


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout_s", 0.0),
        ("max_attempts", 0),
        ("requests_per_s", -1.0),
        ("burst", 0),
        ("max_concurrency", 0),
        ("breaker_failures", 0),
        ("max_backoff_s", float("nan")),
        ("max_backoff_s", float("inf")),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        NetworkConfig(**{name: value})
