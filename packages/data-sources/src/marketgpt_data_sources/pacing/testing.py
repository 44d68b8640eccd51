"""What every source that asks a server must do; part of ``marketgpt_data_sources.testing``.

No server is needed: the requirements are on :meth:`NetworkSource.ask`, on a clock that moves when it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.network import NetworkSource


class NetworkRequirements:
    """Requirements on a :class:`NetworkSource`, one test each; for other sources they are skipped.

    The fixture ``implementation`` gives a fresh, opened source.
    """

    @pytest.fixture
    def waits(self) -> list[float]:
        """Return the seconds a source that asks somebody else has waited so far."""
        return []

    @pytest.fixture
    def network(self, implementation: DataSource, waits: list[float]) -> NetworkSource:
        """Return a source that asks somebody else, on a clock that moves when it waits."""
        if not isinstance(implementation, NetworkSource):
            pytest.skip("it asks nobody else")
        implementation.clock = FixedClock(datetime(2024, 6, 3, 12, tzinfo=UTC))
        implementation.sleep = _mover(implementation.clock, waits)
        return implementation

    def test_asks_again_for_what_passes(self, network: NetworkSource, waits: list[float]) -> None:
        """Throttled, unreachable and garbled answers are tried again, and never before Retry-After."""
        wait_s = network.config.max_backoff_s / 2
        for reason in (FetchReason.THROTTLED, FetchReason.UNREACHABLE, FetchReason.BAD_ANSWER):
            answers = _Answers(FetchError("AAA: not now", reason=reason, retry_after_s=wait_s), "answer")
            waits.clear()
            assert network.ask("AAA", answers) == "answer"
            assert answers.asked == 2
            assert max(waits) >= wait_s

    def test_gives_up_after_its_attempts(self, network: NetworkSource, waits: list[float]) -> None:
        """The last error comes out, with its reason; between attempts it waited."""
        attempts = min(network.config.max_attempts, network.config.breaker_failures)
        answers = _Answers(*[FetchError("AAA: not now", reason=FetchReason.UNREACHABLE)] * 100)
        with pytest.raises(FetchError, match="AAA") as refused:
            network.ask("AAA", answers)
        assert refused.value.reason is FetchReason.UNREACHABLE
        assert attempts <= answers.asked <= network.config.max_attempts
        assert len(waits) >= answers.asked - 1

    def test_does_not_ask_again_for_what_stays(self, network: NetworkSource) -> None:
        """A delisted symbol, an empty range and impossible candles are asked for once."""
        for reason in (FetchReason.DELISTED, FetchReason.EMPTY, FetchReason.BAD_DATA):
            answers = _Answers(FetchError("AAA: no", reason=reason), "answer")
            with pytest.raises(FetchError) as refused:
                network.ask("AAA", answers)
            assert (refused.value.reason, answers.asked) == (reason, 1)

    def test_stops_asking_a_server_that_is_down(self, network: NetworkSource) -> None:
        """In the end nothing is sent any more, and the error says so."""
        answers = _Answers(*[FetchError("down", reason=FetchReason.UNREACHABLE)] * 100_000)
        most = network.config.max_attempts * network.config.breaker_failures * network.config.breaker_openings
        for number in range(most + 1):
            with pytest.raises(FetchError) as refused:
                network.ask(f"A{number}", answers)
            if isinstance(refused.value, CircuitOpenError):
                break
        assert isinstance(refused.value, CircuitOpenError), f"still asking after {answers.asked} requests"

    def test_a_broken_line_is_unreachable(self, network: NetworkSource) -> None:
        """What the operating system raises is no defect of the source."""
        error = network.classify("AAA", ConnectionResetError(104, "Connection reset by peer"))
        assert isinstance(error, FetchError)
        assert error.reason is FetchReason.UNREACHABLE
        assert "AAA" in str(error)
        assert network.classify("AAA", KeyError("a defect")) is None or isinstance(
            network.classify("AAA", KeyError("a defect")), FetchError
        )


class _Answers:
    """Stands for a request: raises or returns its answers, one a call."""

    def __init__(self, *answers: str | Exception) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self) -> str:
        answer = self._answers[self.asked]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def _mover(clock: FixedClock, waits: list[float]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    return sleep
