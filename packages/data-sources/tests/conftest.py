from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_data_sources.loopback.yahoo import YahooServer


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        yield server


class Sleeper:
    """Moves a clock instead of waiting."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.waited_s: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2024, 6, 3, 12, tzinfo=UTC))


@pytest.fixture
def sleeper(clock: FixedClock) -> Sleeper:
    return Sleeper(clock)
