"""What a training gets out of its machine, with planted readings; the real ones on a GPU."""

from __future__ import annotations

import json

import pytest
import torch

from marketgpt_training import meter as module
from marketgpt_training.meter import MACHINE_METRICS, Meter, device_peak, read_machine
from marketgpt_training.pipeline import train

PLANTED = {"rss_gib": 1.5, "gpu_utilisation": 0.9, "gpu_memory_gib": 40.0}


class Machine:
    def __init__(self):
        self.now, self.asked = 0.0, 0

    def read(self):
        self.asked += 1
        return PLANTED

    def clock(self):
        return self.now


@pytest.fixture
def machine():
    return Machine()


def test_the_machine_is_asked_about_once_a_second(machine):
    meter = Meter(read=machine.read, clock=machine.clock)
    found = []
    for _ in range(40):
        found.append(meter.step(100, 0.125))
        machine.now += 0.125
    assert machine.asked == 5
    assert [set(PLANTED) <= set(one) for one in found[:9]] == [True, *[False] * 7, True]
    assert found[0]["gpu_utilisation"] == 0.9
    assert set(found[0]) < set(MACHINE_METRICS)


def test_speed_is_that_of_recent_steps(machine):
    meter = Meter(read=machine.read, clock=machine.clock)
    for _ in range(200):
        slow = meter.step(100, 1.0)["candles_per_s"]
    for _ in range(200):
        fast = meter.step(100, 0.1)["candles_per_s"]
    assert (slow, fast) == (pytest.approx(100.0), pytest.approx(1_000.0, rel=0.01))


def test_utilisation_is_of_all_devices_and_absent_where_the_peak_is_unknown(machine):
    known = Meter(flops_per_candle=2e9, world_size=4, peak=lambda: 1e12, read=machine.read)
    found = known.step(1_000, 1.0)
    assert found["model_tflops"] == pytest.approx(2.0)
    assert found["mfu"] == pytest.approx(0.5)
    unknown = Meter(flops_per_candle=2e9, read=machine.read).step(1_000, 1.0)
    assert unknown["model_tflops"] == pytest.approx(2.0)
    assert "mfu" not in unknown
    assert not {"mfu", "model_tflops"} & set(Meter(peak=lambda: 1e12, read=machine.read).step(1_000, 1.0))


def test_a_cpu_has_memory_and_no_gpu():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    found = read_machine()
    assert set(found) == {"rss_gib"}
    assert 0.05 < found["rss_gib"] < 200
    assert device_peak("fp32") is None


@pytest.mark.parametrize("error", [ModuleNotFoundError("pynvml is not installed"), RuntimeError("no NVML")])
def test_a_driver_that_keeps_silent_is_no_reason_to_stop(monkeypatch, error):
    def refuse():
        raise error

    monkeypatch.setattr(module, "_is_on_gpu", lambda: True)
    monkeypatch.setattr(module, "_utilisation", refuse)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30 * 2**30, 80 * 2**30))
    found = read_machine()
    assert found["gpu_memory_gib"] == 50.0
    assert "gpu_utilisation" not in found


@pytest.mark.parametrize(
    ("precision", "matmul", "peak"),
    [("bf16", "highest", 312e12), ("fp32", "highest", 19.5e12), ("fp32", "high", 156e12)],
)
def test_the_peak_is_that_of_the_precision(monkeypatch, precision, matmul, peak):
    monkeypatch.setattr(module, "_is_on_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100-SXM4-80GB")
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: matmul)
    assert device_peak(precision) == peak


def test_readings_come_to_the_log_the_status_and_the_curves(make_config, candles, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "read_machine", lambda: PLANTED)
    monkeypatch.setattr("marketgpt_training.loop.device_peak", lambda precision: 1e12)
    train(make_config("loop.max_steps=6"), tmp_path, candles=candles)
    rows = [
        json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    steps = [row for row in rows if row["kind"] == "step"]
    assert steps[0]["gpu_memory_gib"] == 40.0
    for row in steps:
        assert row["mfu"] == pytest.approx(row["model_tflops"])
        assert row["mfu"] > 0
    status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert PLANTED.items() <= status.items()
    assert status["mfu"] == steps[-1]["mfu"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"train/mfu", "train/gpu_utilisation", "train/rss_gib"} <= set(events.Tags()["scalars"])


@pytest.mark.gpu
def test_a_real_gpu_tells_its_load_and_memory():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    held = torch.randn(4_096, 4_096, device="cuda")
    for _ in range(50):
        held = torch.nn.functional.normalize(held @ held)
    found = read_machine()
    assert {"rss_gib", "gpu_memory_gib", "gpu_utilisation"} <= set(found)
    assert 0.06 < found["gpu_memory_gib"] < 300
    assert 0 <= found["gpu_utilisation"] <= 1
    assert device_peak("bf16") is None or device_peak("bf16") > 1e13
