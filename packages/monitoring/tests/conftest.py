from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.clock import FixedClock
from marketgpt_core.signal import Outcome, Signal
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal, sample_ledger


@pytest.fixture(autouse=True, scope="session")
def _frozen_garbage() -> Iterator[None]:
    """NiceGUI's test reset collects garbage twice a test; what was imported by now need not be looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def candles() -> Candles:
    return make_candles(("AAPL", "MSFT"), num_candles=150, start="2023-06-01", daily_volatility=0.013)


@pytest.fixture
def reader(candles: Candles) -> MemoryReader:
    return sample_ledger(candles, horizons=(1, 5, 21))


@pytest.fixture
def clock(candles: Candles) -> FixedClock:
    return FixedClock(to_datetime(candles.end) + timedelta(days=1, hours=2))


@pytest.fixture
def make_history():
    """Signals of five symbols, one day after another, whose probability is right but in the bad part."""

    def history(
        num_days: int = 400,
        *,
        bad_from: int | None = None,
        bad_until: int | None = None,
        inside_share: float = 0.9,
        model_id: str = "model-a",
        start: datetime = datetime(2020, 1, 1, tzinfo=UTC),
        seed: int = 0,
    ) -> list[tuple[Signal, Outcome]]:
        rng = np.random.default_rng(seed)
        pairs = []
        for day in range(num_days):
            bad = bad_from is not None and bad_from <= day < (bad_until or num_days)
            for number in range(5):
                at = start + timedelta(days=day)
                said = 0.6 if rng.random() < 0.5 else 0.4
                # While bad the model is sure of the wrong side.
                up = rng.random() < (1.0 - said if bad else said)
                signal = make_signal(
                    f"S{number}", as_of=at, horizon_bars=1, probability=said, model_id=model_id
                )
                pairs.append((signal, make_outcome(signal, up=up, inside=rng.random() < inside_share)))
        return pairs

    return history


def make_outcome(signal: Signal, *, up: bool, inside: bool = True) -> Outcome:
    change = 0.01 if up else -0.01
    exit_at = signal.as_of + timedelta(days=signal.horizon_bars + 1)
    return Outcome(
        signal_id=signal.id,
        entry_at=signal.as_of + timedelta(days=1),
        exit_at=exit_at,
        entry_price=100.0,
        exit_price=100.0 * (1 + change),
        forecast_return=change,
        net_return=0.0,
        cost_bps=0.0,
        hit=None if signal.side == "FLAT" else (signal.side == "LONG") is up,
        inside_90=inside,
        resolved_at=exit_at + timedelta(hours=1),
    )


@pytest.fixture
def resolve_as():
    return make_outcome


@pytest.fixture
def ledger_of():
    def build(pairs: list[tuple[Signal, Outcome]]) -> MemoryReader:
        return MemoryReader([signal for signal, _ in pairs], [outcome for _, outcome in pairs])

    return build


@pytest.fixture
def nicegui_sandbox() -> Iterator[None]:
    """A NiceGUI without the traces of other tests, for tests that mount the dashboard."""
    from nicegui import Client
    from nicegui.testing.general import nicegui_reset_globals

    with nicegui_reset_globals():
        yield
        # Else the reset drops the modules of our page functions from sys.modules.
        Client.page_routes.clear()
