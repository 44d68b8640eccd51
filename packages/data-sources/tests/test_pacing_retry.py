from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.retry import ask_again, backoff_s, retry_after_s

NOW = datetime(2024, 6, 3, 12, 0, tzinfo=UTC)


def test_backoff_is_uniform_up_to_a_doubling_limit() -> None:
    rng = random.Random(1)
    for attempt, limit in [(1, 2.0), (2, 4.0), (3, 8.0), (6, 60.0), (3000, 60.0)]:
        drawn = [backoff_s(attempt, first_s=2.0, most_s=60.0, rng=rng) for _ in range(4000)]
        assert 0 <= min(drawn) < limit * 0.01
        assert limit * 0.99 < max(drawn) <= limit
        assert sum(drawn) / 4000 == pytest.approx(limit / 2, rel=0.05)


def test_backoff_follows_the_seed() -> None:
    first, second = random.Random(7), random.Random(7)
    assert backoff_s(3, first_s=1, most_s=9, rng=first) == backoff_s(3, first_s=1, most_s=9, rng=second)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("Mon, 03 Jun 2024 12:00:30 GMT", 30.0),
        ("Mon, 03 Jun 2024 14:00:30 +0200", 30.0),
        ("Mon, 03 Jun 2024 11:00:00 GMT", 0.0),
        ("Mon, 03 Jun 2024 12:00:30 -0000", 30.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\u0667", None),
        ("", None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after_s({"Retry-After": text}, NOW) == expected


def test_no_retry_after() -> None:
    assert retry_after_s({}, NOW) is None


class Asked:
    """Fails with these errors, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.waited: list[float] = []
        self.told: list[tuple[int, str, float]] = []

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def run(self, attempts: int = 4) -> str:
        return ask_again(
            self,
            attempts=attempts,
            wait_s=lambda number, error: 10.0 * number,
            sleep=self.waited.append,
            on_wait=lambda number, error, wait_s: self.told.append((number, str(error), wait_s)),
        )


def _error(reason: FetchReason, text: str = "x") -> FetchError:
    return FetchError(text, reason=reason)


@pytest.mark.parametrize("reason", [FetchReason.THROTTLED, FetchReason.UNREACHABLE, FetchReason.BAD_ANSWER])
def test_what_passes_is_asked_again(reason: FetchReason) -> None:
    asked = Asked(_error(reason, "first"), _error(reason, "second"))
    assert asked.run() == "answer"
    assert asked.waited == [10.0, 20.0]
    assert asked.told == [(1, "first", 10.0), (2, "second", 20.0)]


@pytest.mark.parametrize(
    "error",
    [
        _error(FetchReason.DELISTED),
        _error(FetchReason.EMPTY),
        _error(FetchReason.BAD_DATA),
        CircuitOpenError("open", reason=FetchReason.THROTTLED),
        RuntimeError("a defect"),
    ],
)
def test_what_stays_is_not(error: Exception) -> None:
    asked = Asked(error)
    with pytest.raises(type(error)) as raised:
        asked.run()
    assert raised.value is error
    assert asked.calls == 1
    assert asked.waited == []


def test_the_last_error_is_the_one_raised() -> None:
    errors = [_error(FetchReason.THROTTLED, str(k)) for k in range(9)]
    asked = Asked(*errors)
    with pytest.raises(FetchError, match=r"^2$"):
        asked.run(attempts=3)
    assert asked.calls == 3
    assert len(asked.waited) == 2


def test_a_wait_may_be_ended() -> None:
    class Stop(BaseException):
        pass

    def sleep(seconds: float) -> None:
        raise Stop

    asked = Asked(_error(FetchReason.THROTTLED))
    with pytest.raises(Stop):
        ask_again(asked, attempts=4, wait_s=lambda *_: 1.0, sleep=sleep, on_wait=lambda *_: None)
    assert asked.calls == 1
