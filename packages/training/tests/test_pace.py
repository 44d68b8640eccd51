"""The one home of the arithmetic of time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from marketgpt_training.pace import Pace, duration
from marketgpt_training.progress import TrainingProgress


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def advance(pace, clock, steps, seconds):
    for _ in range(steps):
        clock.now += seconds
        pace.advance(pace.step + 1, pace.training_s + seconds / 2)


def test_a_first_start_is_judged_by_its_steps_after_the_first(clock):
    pace = Pace(clock=clock)
    pace.begin(100)
    assert pace.eta_s is None
    advance(pace, clock, 1, 50.0)  # loading and compiling
    assert pace.eta_s is None
    advance(pace, clock, 9, 2.0)
    assert pace.eta_s == pytest.approx(90 * 2.0)
    assert pace.spent_s == pytest.approx(50 + 9 * 2)


def test_validation_between_steps_counts(clock):
    pace = Pace(clock=clock)
    pace.begin(30)
    advance(pace, clock, 10, 1.0)
    clock.now += 9.0
    advance(pace, clock, 1, 1.0)
    assert pace.eta_s == pytest.approx(19 * 19.0 / 10)


def test_a_later_start_counts_the_earlier_ones_and_believes_itself_once_it_knows(clock):
    pace = Pace(clock=clock)
    pace.begin(100, step=40, spent_s=120.0, training_s=80.0, starts=3)
    assert (pace.eta_s, pace.spent_s, pace.training_s) == (60 * 3.0, 120.0, 80.0)
    advance(pace, clock, 5, 1.0)
    assert pace.eta_s == pytest.approx(55 * 3.0)
    assert pace.spent_s == pytest.approx(125.0)
    advance(pace, clock, 20, 1.0)
    assert pace.eta_s == pytest.approx(35 * 1.0)


def test_a_rollback_counts_anew(clock):
    pace = Pace(clock=clock)
    pace.begin(100)
    advance(pace, clock, 30, 1.0)
    pace.step = 9
    advance(pace, clock, 1, 1.0)
    assert pace.step == 10
    assert pace.eta_s == pytest.approx(90 * 30.0 / 9)
    pace.step = 0
    advance(pace, clock, 11, 1.0)
    assert pace.eta_s == pytest.approx(89 * 1.0)


def test_nothing_is_left_after_the_last_step(clock):
    pace = Pace(clock=clock)
    pace.begin(10, step=10, spent_s=5.0)
    assert pace.eta_s == 0.0


def test_durations_in_words():
    assert duration(None) == "-"
    assert duration(3_661.4) == "1:01:01"
    assert duration(200_000, at_most=True) == "at most 2 days, 7:33:20"


def lines(pace, monkeypatch, *, terminal):
    target = io.StringIO()
    console = Console(file=target, force_terminal=terminal, width=200)
    monkeypatch.setattr("marketgpt_training.progress.progress_console", lambda: console)
    with TrainingProgress(pace) as progress:
        progress.step(3.0, {"candles_per_s": 1_234.5, "gpu_utilisation": 0.93, "gpu_memory_gib": 41.25})
        progress.step(2.0, {"candles_per_s": 1_200.0, "mfu": 0.38})
        progress.epoch("epoch 1")
    return target.getvalue()


def test_the_bar_says_what_there_is_and_stops_at_the_steps_given(clock, monkeypatch):
    pace = Pace(clock=clock)
    pace.begin(25, step=5, spent_s=10.0, starts=2, can_stop_early=True)
    advance(pace, clock, 15, 1.0)
    said = lines(pace, monkeypatch, terminal=True)
    assert "20/25" in said
    assert "loss 2.000 nat  1,200 candles/s  GPU 93% 41.2 GiB  MFU 38%" in said
    assert "0:00:25 in 2 starts, ETA at most 0:00:10" in said


def test_without_a_terminal_an_epoch_is_a_line_with_the_time_left(clock, monkeypatch):
    pace = Pace(clock=clock)
    pace.begin(25)
    advance(pace, clock, 11, 2.0)
    assert lines(pace, monkeypatch, terminal=False) == "epoch 1  0:00:22, ETA 0:00:28\n"
