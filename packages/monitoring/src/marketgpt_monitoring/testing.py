"""Conformance suites for plugin authors: subclass one and give it a fixture ``implementation``.

The fixture gives a fresh instance::

    class TestPager(AlertChannelConformance):
        @pytest.fixture
        def implementation(self):
            return PagerChannel(PagerChannel.Config(url="http://127.0.0.1:9"))

``marketgpt plugins check NAME`` runs the same suites on what is installed.
"""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_candles
from marketgpt_monitoring.base import (
    Alert,
    AlertChannel,
    DashboardContext,
    DashboardPanel,
    DeliveryError,
    DriftDetector,
    DriftPoint,
    Selection,
    Severity,
)
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal, sample_ledger

__all__ = [
    "AlertChannelConformance",
    "DashboardPanelConformance",
    "DriftDetectorConformance",
    "MemoryReader",
    "make_signal",
    "sample_ledger",
]

_AT = datetime(2024, 3, 1, 12, tzinfo=UTC)


class AlertChannelConformance:
    """What every alert channel has to do."""

    def test_is_an_alert_channel_that_keeps_its_config(self, implementation: AlertChannel) -> None:
        """It is a subclass and keeps the config it was given."""
        assert isinstance(implementation, AlertChannel)
        assert isinstance(implementation.config, type(implementation).Config)

    @pytest.mark.parametrize("severity", list(Severity))
    def test_sends_or_raises_delivery_error(self, implementation: AlertChannel, severity: Severity) -> None:
        """Every severity is sent, or refused in the one way allowed."""
        _send(implementation, Alert("A title", "A text.", severity, _AT, key="k", labels={"horizon": "5"}))

    def test_takes_any_text(self, implementation: AlertChannel) -> None:
        """Markup, control characters and line breaks in an alert break nothing."""
        hostile = "<script>alert(1)</script> {{ 7*7 }} %s \x1b[31m \r\n\r\n 'quoted' \u202e \U0001f4c9"
        _send(
            implementation, Alert(hostile, hostile, Severity.WARNING, _AT, key=hostile, labels={"a": hostile})
        )

    def test_leaves_the_alert_as_it_is_and_may_be_used_again(self, implementation: AlertChannel) -> None:
        """Sending changes no alert, and a second one follows."""
        alert = Alert("A title", "A text.", Severity.INFO, _AT, key="k", labels={"api_key": "s3cret"})
        for _ in range(2):
            _send(implementation, alert)
        assert dict(alert.labels) == {"api_key": "s3cret"}


def _send(channel: AlertChannel, alert: Alert) -> None:
    # A default configuration may point nowhere: failing is allowed, failing in another way is not.
    reason = "delivered"
    try:
        channel.send(alert)
    except DeliveryError as error:
        reason = str(error)
    assert reason
    assert "\n" not in reason, "a delivery error is one line"


class DriftDetectorConformance:
    """What every drift detector has to do."""

    def _feed(self, detector: DriftDetector, values: np.ndarray) -> list[DriftPoint]:
        return list(detector.update(values).points)

    def _shifted(self) -> np.ndarray:
        values = np.random.default_rng(1).normal(0.25, 0.05, 600)
        values[400:] += 0.25  # five standard deviations
        return values

    def test_is_a_drift_detector_that_keeps_its_config(self, implementation: DriftDetector) -> None:
        """It is a subclass and keeps the config it was given."""
        assert isinstance(implementation, DriftDetector)
        assert isinstance(implementation.config, type(implementation).Config)

    def test_no_alarm_on_a_constant_stream(self, implementation: DriftDetector) -> None:
        """What never moves raises no alarm, at any level."""
        for level in (0.0, 0.1, -1e6):
            implementation.reset()
            assert self._feed(implementation, np.full(1_000, level)) == []

    def test_few_alarms_on_noise(self, implementation: DriftDetector) -> None:
        """At most one false alarm in 500 values of noise."""
        rng = np.random.default_rng(2)
        alarms = 0
        for _ in range(10):
            implementation.reset()
            alarms += len(self._feed(implementation, rng.normal(0.25, 0.05, 1_000)))
        assert alarms <= 20, f"{alarms} false alarms in 10,000 values"

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_alarms_soon_after_a_large_shift(self, implementation: DriftDetector, sign: float) -> None:
        """Five standard deviations, up or down, are noticed within 50 values."""
        points = [point for point in self._feed(implementation, sign * self._shifted()) if point.index >= 400]
        assert points, "no alarm after a shift of five standard deviations"
        first = points[0]
        assert first.index < 450
        assert first.rose is (sign > 0)
        assert first.before == pytest.approx(sign * 0.25, abs=0.05)
        assert 0.375 < sign * first.after < 0.6, "the level after lies nearer to the new one"
        assert np.sign(first.statistic) == sign

    def test_alarms_after_a_constant_stream_moves(self, implementation: DriftDetector) -> None:
        """A stream without spread may still change its level."""
        values = np.concatenate([np.full(300, 0.25), np.full(300, 0.75)])
        points = self._feed(implementation, values)
        assert points
        assert points[0].index >= 300

    def test_feeding_one_by_one_or_all_at_once_is_the_same(self, implementation: DriftDetector) -> None:
        """How the stream is cut into pieces does not matter."""
        values = self._shifted()
        at_once = self._feed(implementation, values)
        implementation.reset()
        one_by_one = [point for value in values for point in self._feed(implementation, np.array([value]))]
        assert one_by_one == at_once

    def test_reset_forgets_everything(self, implementation: DriftDetector) -> None:
        """After a reset the same values give the same report."""
        first = implementation.update(self._shifted())
        implementation.reset()
        assert implementation.update(self._shifted()) == first
        assert first.num_seen == 600

    def test_instances_share_nothing(self, implementation: DriftDetector) -> None:
        """What one instance was fed changes no other."""
        other = type(implementation)(implementation.config)
        implementation.update(np.random.default_rng(3).normal(5.0, 3.0, 500))
        fresh = type(implementation)(implementation.config)
        assert other.update(self._shifted()) == fresh.update(self._shifted())

    def test_nothing_is_fed_by_no_values(self, implementation: DriftDetector) -> None:
        """An empty piece is allowed."""
        report = implementation.update(np.array([]))
        assert not report.drifted
        assert report.num_seen == 0

    @pytest.mark.parametrize("bad", [[0.1, np.nan], [np.inf], [[0.1, 0.2]]])
    def test_refuses_what_is_no_stream_and_feeds_none_of_it(
        self, implementation: DriftDetector, bad: list[Any]
    ) -> None:
        """A bad piece is refused as a whole."""
        with pytest.raises(DataError):
            implementation.update(np.array(bad))
        assert implementation.update(np.array([0.1])).num_seen == 1


class DashboardPanelConformance:
    """What every dashboard panel has to do. Runs in NiceGUI's simulation: no browser, no server."""

    def test_is_a_dashboard_panel_with_title_and_order(self, implementation: DashboardPanel) -> None:
        """It is a subclass with a title and a place."""
        assert isinstance(implementation, DashboardPanel)
        assert isinstance(implementation.title, str)
        assert implementation.title.strip()
        assert isinstance(implementation.order, int)

    def test_shows_something_and_stays_through_refreshes(self, implementation: DashboardPanel) -> None:
        """It draws, and new signals and choices do not break it."""
        reader, context = _panel_context()

        async def scenario(count: Any) -> None:  # noqa: ANN401 - a function without arguments
            assert await _result(implementation.render(context)) is None
            assert count() > 0
            before = count()
            assert await _result(implementation.refresh(context)) in {True, False}
            reader.append(make_signal("AAA", as_of=datetime(2030, 1, 7, tzinfo=UTC)))
            await _result(implementation.refresh(context))
            context.selection.choose(symbol="BBB")
            await _result(implementation.refresh(context))
            assert count() <= 20 * before, "refreshing piles up elements"

        _simulate(scenario)

    def test_lives_with_an_empty_ledger_and_no_candles(self, implementation: DashboardPanel) -> None:
        """On the first day there is nothing to show."""
        context = DashboardContext(MemoryReader(), _no_candles, FixedClock(_AT), Selection())

        async def scenario(count: Any) -> None:  # noqa: ANN401, ARG001
            await _result(implementation.render(context))
            await _result(implementation.refresh(context))

        _simulate(scenario)

    def test_lives_with_signals_but_no_candles(self, implementation: DashboardPanel) -> None:
        """Candles may be missing where signals exist."""
        reader = MemoryReader([make_signal("AAA", reason="<img src=x onerror=alert(1)>")])
        context = DashboardContext(reader, _no_candles, FixedClock(_AT), Selection("AAA", 5))

        async def scenario(count: Any) -> None:  # noqa: ANN401, ARG001
            await _result(implementation.render(context))

        _simulate(scenario)


def _panel_context() -> tuple[MemoryReader, DashboardContext]:
    candles = make_candles(("AAA", "BBB"), num_candles=120, start="2023-06-01")
    reader = sample_ledger(candles, horizons=(1, 5, 21))
    return reader, DashboardContext(reader, candles.get, FixedClock(_AT), Selection("AAA", 5))


def _no_candles(symbol: str) -> None:  # noqa: ARG001 - the context's signature
    return None


async def _result(value: Any) -> Any:  # noqa: ANN401 - awaitable or not
    return await value if inspect.isawaitable(value) else value


def _simulate(scenario: Any) -> None:  # noqa: ANN401 - an async function
    """Run ``scenario(count)`` inside a simulated page; ``count()`` gives the elements it has made so far."""
    from nicegui import ui
    from nicegui.testing import user_simulation

    async def run() -> None:
        made: list[ui.element] = []

        def page() -> None:
            made.append(ui.element("div"))

        async with user_simulation(root=page) as user:
            await user.open("/")
            body = made[0]
            with body:
                await scenario(lambda: len(list(body.descendants())))

    asyncio.run(run())
