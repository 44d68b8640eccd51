from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_signals.ledger import Ledger

NOW = datetime(2016, 2, 1, 21, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def make_signal() -> Callable[..., Signal]:
    """Signals written by hand: every field can be chosen."""
    plain = Signal(
        symbol="AAA",
        as_of=datetime(2016, 1, 4, tzinfo=UTC),
        horizon_bars=5,
        interval=Interval.DAY,
        side=Side.LONG,
        probability=0.6,
        confidence=0.2,
        close=100.0,
        bands=Bands(95.0, 98.0, 101.0, 104.0, 108.0),
        expires_at=datetime(2016, 1, 12, tzinfo=UTC),
        created_at=NOW,
        strategy="threshold",
        model_id="model-1",
        data_fingerprint="f" * 64,
        reason="because",
    )

    def make(day: int = 0, **changes: object) -> Signal:
        moved = {
            "as_of": plain.as_of + timedelta(days=day),
            "expires_at": plain.expires_at + timedelta(days=day),
        }
        return replace(plain, **(moved | changes))

    return make


@pytest.fixture(scope="session")
def make_client() -> Callable[..., object]:
    """A test client; starlette says at import that it would rather have another httpx."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    def make(app: object) -> object:
        return TestClient(app, raise_server_exceptions=False)

    return make
