"""Signals: identity and what is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from marketgpt_core import Bands, DataError, Interval, Side, Signal

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def signal() -> Signal:
    return Signal(
        symbol="AAPL",
        as_of=datetime(2024, 3, 8, tzinfo=UTC),
        horizon_bars=5,
        interval=Interval.DAY,
        side=Side.LONG,
        probability=0.55,
        confidence=0.1,
        close=170.0,
        bands=Bands(160.0, 167.0, 171.0, 175.0, 182.0),
        expires_at=datetime(2024, 3, 15, tzinfo=UTC),
        created_at=datetime(2024, 3, 8, 22, tzinfo=UTC),
        strategy="quantile",
        model_id="0123456789abcdef",
        data_fingerprint="ab" * 32,
    )


def test_the_id_never_changes(signal: Signal) -> None:
    # A ledger holds such ids: another value here would orphan them.
    assert signal.id == "418462174b0c3f47adb52b8b918fe65b"


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "MSFT"},
        {"as_of": datetime(2024, 3, 11, tzinfo=UTC)},
        {"horizon_bars": 10},
        {"interval": Interval.HOUR},
        {"model_id": "f"},
        {"strategy": "direction"},
    ],
)
def test_the_id_is_of_what_was_asked(signal: Signal, change: dict[str, Any]) -> None:
    assert replace(signal, **change).id != signal.id


@pytest.mark.parametrize(
    "change",
    [
        {"side": Side.SHORT, "probability": 0.4},
        {"created_at": datetime(2024, 3, 9, tzinfo=UTC)},
        {"reason": "because"},
        {"size": 0.5},
        {"code_revision": "0.2.0"},
        {"as_of": datetime(2024, 3, 8, 1, tzinfo=timezone(timedelta(hours=1)))},  # the same instant
    ],
)
def test_the_id_is_not_of_what_was_answered(signal: Signal, change: dict[str, Any]) -> None:
    assert replace(signal, **change).id == signal.id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbol": "'; DROP TABLE"}, "is not a symbol"),
        ({"probability": 1.5}, r"signal.probability must lie in \[0, 1\], got 1.5"),
        ({"probability": NAN}, "signal.probability"),
        ({"size": 1.1}, r"signal.size must lie in \[0, 1\], got 1.1"),
        ({"confidence": -0.1}, r"signal.confidence must lie in \[0, 1\], got -0.1"),
        ({"as_of": datetime(2024, 3, 8)}, r"signal.as_of must be aware \(UTC\)"),  # noqa: DTZ001
        ({"expires_at": datetime(2024, 3, 8)}, "signal.expires_at must be aware"),  # noqa: DTZ001
        ({"created_at": datetime(2024, 3, 8)}, "signal.created_at must be aware"),  # noqa: DTZ001
        ({"horizon_bars": 0}, "signal.horizon_bars must be at least 1, got 0"),
        ({"close": 0.0}, "signal.close must be positive and finite, got 0.0"),
        ({"close": NAN}, "signal.close"),
        (
            {"model_id": "a\0b"},
            r"signal.model_id must be text without NUL and lone surrogates, got 'a\\x00b'",
        ),
        ({"reason": "\udcff"}, "signal.reason must be text without NUL and lone surrogates"),
    ],
)
def test_a_signal_that_makes_no_sense_is_refused(signal: Signal, change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        replace(signal, **change)


@pytest.mark.parametrize(
    "values",
    [
        (1.0, 2.0, 3.0, 5.0, 4.0),
        (0.0, 1.0, 2.0, 3.0, 4.0),
        (-1.0, 1.0, 2.0, 3.0, 4.0),
        (1.0, 2.0, 3.0, 4.0, INF),
        *(tuple(NAN if i == k else float(i + 1) for i in range(5)) for k in range(5)),
    ],
)
def test_bands_must_be_prices_in_order(values: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="bands must be positive, finite and not decrease"):
        Bands(*values)


def test_bands_may_meet() -> None:
    assert Bands(1.0, 1.0, 1.0, 1.0, 1.0).q50 == 1.0


def test_a_signal_does_not_change(signal: Signal) -> None:
    with pytest.raises(FrozenInstanceError):
        signal.side = Side.SHORT  # type: ignore[misc]
