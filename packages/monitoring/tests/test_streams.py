from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketgpt_core.interval import Interval
from marketgpt_monitoring.detectors.adwin import AdwinDetector
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal
from marketgpt_monitoring.streams import Stream, StreamKey, current_keys, resolved_streams

START = datetime(2024, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def stream_of(as_of_days, losses, *, horizon_bars, exit_days=None):
    as_of = np.datetime64("2024-01-01", "ns") + np.asarray(as_of_days) * np.timedelta64(1, "D")
    exits = as_of_days if exit_days is None else exit_days
    num = len(losses)
    return Stream(
        key=StreamKey("s", "m", Interval.DAY, horizon_bars),
        as_of=as_of,
        exit_at=np.datetime64("2024-01-01", "ns") + np.asarray(exits) * np.timedelta64(1, "D"),
        loss=np.asarray(losses, dtype=float),
        up=np.ones(num, dtype=bool),
        inside_90=np.ones(num, dtype=bool),
        hit=np.ones(num, dtype=bool),
        directional=np.ones(num, dtype=bool),
        block=np.zeros(num, dtype=np.int64),
    )


def test_a_point_is_the_mean_of_a_day_whatever_the_number_of_symbols():
    times, losses = stream_of([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9], horizon_bars=1).points()
    assert losses == pytest.approx([0.2, 0.9])
    assert times.astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "2024-01-02"]


def test_points_of_a_longer_horizon_are_whole_blocks_known_at_their_last_exit():
    stream = stream_of([0, 1, 2, 3, 4], [1.0, 0.0, 0.5, 0.5, 0.9], horizon_bars=2, exit_days=[3, 4, 5, 6, 7])
    times, losses = stream.points()
    assert losses == pytest.approx([0.5, 0.5])  # the fifth day waits for its block
    assert (times == stream.exit_at[[1, 3]]).all()


def test_too_few_days_give_no_point():
    times, losses = stream_of([0, 1], [0.1, 0.2], horizon_bars=5).points()
    assert len(times) == len(losses) == 0


def test_streams_hold_what_was_written_by_then_in_order_of_exit(resolve_as):
    signals = [make_signal("AAA", as_of=START + timedelta(days=day), probability=0.6) for day in range(10)]
    reader = MemoryReader(signals, [resolve_as(signal, up=True) for signal in reversed(signals)])
    (stream,) = resolved_streams(reader, now=LATER).values()
    assert len(stream) == 10
    assert (np.diff(stream.exit_at) > np.timedelta64(0, "ns")).all()
    assert stream.block.tolist() == [0] * 5 + [1] * 5
    cut = resolve_as(signals[3], up=True).resolved_at
    (known,) = resolved_streams(reader, now=cut).values()
    assert len(known) == 4
    assert resolved_streams(reader, now=START) == {}


def test_models_are_kept_apart_unless_pooled(resolve_as):
    signals = [make_signal("AAA", as_of=START + timedelta(days=n), model_id=f"m{n % 2}") for n in range(6)]
    reader = MemoryReader(signals, [resolve_as(signal, up=True) for signal in signals])
    assert {key.model_id for key in resolved_streams(reader, now=LATER)} == {"m0", "m1"}
    ((key, stream),) = resolved_streams(reader, now=LATER, pool_models=True).items()
    assert key.model_id == ""
    assert len(stream) == 6


def test_models_in_use_are_those_of_fresh_symbols():
    reader = MemoryReader(
        [
            make_signal("DEAD", as_of=START, model_id="old"),
            make_signal("LIVE", as_of=START, model_id="old-live"),
            make_signal("LIVE", as_of=START + timedelta(days=200), model_id="new"),
        ]
    )
    assert {key.model_id for key in current_keys(reader, stale_after=timedelta(days=30))} == {"new"}
    assert {key.model_id for key in current_keys(reader, stale_after=timedelta(days=300))} == {"new", "old"}
    assert current_keys(MemoryReader(), stale_after=timedelta(days=30)) == set()


def test_points_keep_false_alarms_rare_where_outcomes_hang_together():
    """Twenty symbols share the market's mood, horizons overlap, and the model leans to one side.

    Its probabilities are right and never change, so every alarm is false. Fed outcome by outcome, or day by
    day, a detector takes every bad week for a change.
    """
    rng = np.random.default_rng(5)
    horizon, days, symbols = 5, 4_000, 20
    raw = daily = blocks = num_blocks = 0
    for _ in range(3):
        common = rng.standard_normal((days + horizon, 1))
        steps = np.sqrt(0.3) * common + np.sqrt(0.7) * rng.standard_normal((days + horizon, symbols))
        path = np.vstack([np.zeros((1, symbols)), np.cumsum(steps, axis=0)])
        change = (path[horizon : horizon + days] - path[:days]) / np.sqrt(horizon)
        loss = (0.56 - (change > -0.151)) ** 2  # the normal's 56% quantile: calibrated
        stream = stream_of(np.repeat(np.arange(days), symbols), loss.ravel(), horizon_bars=horizon)
        _, points = stream.points()
        raw += alarms(loss[:500].ravel())
        daily += alarms(loss.mean(axis=1))
        blocks += alarms(points)
        num_blocks += len(points)
    assert raw >= 20  # in 1,500 days
    assert daily >= 40  # in 12,000 days
    assert blocks <= 5  # in 12,000 days
    assert num_blocks == 2_400


def alarms(values):
    return len(AdwinDetector(AdwinDetector.Config()).update(values).points)
