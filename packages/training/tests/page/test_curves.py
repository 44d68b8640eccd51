"""Curves of a file that grows, is cut, is large, is hostile."""

from __future__ import annotations

import json
import math

import pytest

from marketgpt_training.page.curves import Curves, Thinned
from marketgpt_training.page.tail import Tail


def line(step, **values):
    return json.dumps({"kind": "step", "step": step, **values}) + "\n"


def append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_only_what_is_new_and_whole_is_read(log, tmp_path):
    curves = Curves(tmp_path)
    assert curves.update()
    assert curves.version == 0
    append(log, line(1, loss=3.0) + '{"kind": "step", "st')
    curves.update()
    assert curves.points("loss") == [(1.0, 3.0)]
    append(log, 'ep": 2, "loss": 2.5}\n' + '{"kind": "epoch", "step": 2, "loss": 2.75}\n')
    curves.update()
    assert curves.points("loss") == [(1.0, 3.0), (2.0, 2.5)]
    assert curves.points("validation") == [(2.0, 2.75)]
    assert (curves.best, curves.broken, curves.version) == ((2.0, 2.75), 0, 2)
    curves.update()
    assert curves.version == 2


def test_a_log_cut_by_a_resumed_run_is_read_anew(log, tmp_path):
    first = "".join(line(step, loss=3.0) for step in range(1, 9))
    append(log, first)
    curves = Curves(tmp_path)
    curves.update()
    cut = first.index('{"kind": "step", "step": 5')
    log.write_text(first[:cut] + "".join(line(step, loss=1.0) for step in range(5, 30)), encoding="utf-8")
    curves.update()
    assert [step for step, _ in curves.points("loss")] == list(range(1, 30))
    assert curves.points("loss")[5] == (6.0, 1.0)
    log.unlink()
    curves.update()
    assert curves.points("loss") == []


def test_a_curve_keeps_its_shape_in_few_points():
    curve = Thinned(most=100)
    for step in range(1, 100_001):
        curve.add(step, math.sin(step / 10_000))
    points = curve.points()
    assert 100 <= len(points) <= 201
    assert points[-1][0] == 100_000
    for step, value in points:
        assert value == pytest.approx(math.sin(step / 10_000), abs=0.06)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "null",
        '"step"',
        '{"kind": "step"}',
        '{"kind": "step", "step": "1", "loss": 1}',
        '{"kind": "step", "step": 1, "loss": NaN}',
        '{"kind": "step", "step": 1, "loss": "<script>"}',
        '{"kind": "step", "step": 1e999, "loss": 1}',
        '{"kind": "epoch", "step": 1}',
        '{"kind": "spoiled", "step": 1, "epoch": "<b>", "batch": 1, "loss": "nan"}',
        "[" * 100_000,
        "9" * 5_000,
        "\x00\xff",
    ],
)
def test_lines_that_are_no_metrics_are_counted_and_passed_over(log, tmp_path, text):
    log.write_bytes(line(1, loss=3.0).encode() + text.encode("latin-1") + b"\n" + line(2, loss=2.0).encode())
    curves = Curves(tmp_path)
    curves.update()
    assert [step for step, _ in curves.points("loss")] == [1, 2]
    assert curves.broken == 1
    assert not curves.spoiled


def test_batches_left_out_are_told(log, tmp_path):
    append(log, '{"kind": "spoiled", "step": 7, "epoch": 2, "batch": 3, "loss": "nan"}\n')
    curves = Curves(tmp_path)
    curves.update()
    assert curves.spoiled == [(7, "batch 3 of epoch 2, loss nan")]


def test_a_file_is_read_in_bounded_parts(log):
    log.write_bytes(b"x" * 1_000 + b"\n" + b"short\n" * 100)
    tail, parts = Tail(log, most_bytes=256), []
    for _ in range(20):
        _, lines = tail.read()
        assert sum(map(len, lines)) <= 256
        parts += lines
        if tail.is_at_end:
            break
    assert parts.count(b"short") == 100


@pytest.mark.slow
def test_a_million_steps_stay_light(log, tmp_path):
    """Seconds to read once, little to keep, nothing to look again."""
    import time
    import tracemalloc

    with log.open("w", encoding="utf-8") as file:
        for step in range(1, 1_000_001):
            file.write(line(step, loss=2.5, nll=2.0, lr=1e-3, grad_norm=0.5, candles_per_s=12_345.678))
    curves = Curves(tmp_path)
    began, longest = time.perf_counter(), 0.0
    while True:
        part = time.perf_counter()
        is_all = curves.update()
        longest = max(longest, time.perf_counter() - part)
        if is_all:
            break
    took = time.perf_counter() - began
    print(f"\n{log.stat().st_size / 1e6:.0f} MB in {took:.1f} s, the longest part {longest:.2f} s")
    assert took < 60
    assert len(curves.points("loss")) <= 801
    tracemalloc.start()
    append(log, line(1_000_001, loss=1.0))
    began = time.perf_counter()
    curves.update()
    assert time.perf_counter() - began < 0.5
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
