"""What is wrong with a machine is said in one line, before the time is spent."""

from __future__ import annotations

import pytest
import torch

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.plugins import registry
from marketgpt_training.engines import deepspeed_machine
from marketgpt_training.engines.deepspeed_machine import import_deepspeed, join_ranks
from marketgpt_training.engines.devices import usable_device

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.fixture
def gpus(monkeypatch):
    """Have torch say it sees so many GPUs; here it has none, so that each fails when used."""

    def plan(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Pretended {index}")

    return plan


@pytest.mark.parametrize("name", ["torch", "deepspeed"])
def test_a_gpu_asked_for_and_not_there(gpus, monkeypatch, name):
    gpus(0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(
        ConfigError, match=r"device='cuda', but torch finds no CUDA device \(torch .*VISIBLE_DEVICES ''\)"
    ):
        registry("training-engine").create(name, {"device": "cuda"})


def test_without_a_wish_it_is_the_cpu(gpus):
    gpus(0)
    assert usable_device("auto").type == "cpu"


def test_more_processes_than_gpus(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(
        ConfigError, match=r"process 3 of this machine has no GPU of its own: 2 found.*at most 2 processes"
    ):
        registry("training-engine").create("deepspeed", {})


def test_a_dead_gpu_is_named(gpus):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU that works")
    gpus(1)
    with pytest.raises(RunError, match=r"GPU 0 \(Pretended 0\) fails at its first sum: .*look at nvidia-smi"):
        usable_device("auto")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_that_works_is_taken():
    assert usable_device("auto").type == "cuda"


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda", "nccl")])
def test_a_torch_its_ranks_cannot_talk_through(monkeypatch, device, backend):
    monkeypatch.setattr(torch.distributed, f"is_{backend}_available", lambda: False)
    with pytest.raises(ConfigError, match=f"is built without {backend}, through which"):
        join_ranks(import_deepspeed(), torch.device(device))


def test_ranks_not_found_are_named(monkeypatch):
    class Lonely:
        @staticmethod
        def init_distributed(**_):
            raise torch.distributed.DistNetworkError("The client socket has timed out\nwith a trace")

    said = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(deepspeed_machine.shutil, "which", lambda name: name)
    with pytest.raises(
        RunError, match=r"rank 1 of 2 cannot join the others at n1:29500: The client socket has timed out$"
    ):
        join_ranks(Lonely(), torch.device("cpu"))


def test_a_precision_the_device_lacks(monkeypatch):
    import_deepspeed()
    from deepspeed.accelerator import get_accelerator

    monkeypatch.setattr(get_accelerator(), "is_fp16_supported", lambda: None)
    with pytest.raises(
        ConfigError, match=r"precision='fp16': this \w+ does not compute in it; allowed here: fp32"
    ):
        registry("training-engine").create("deepspeed", {"precision": "fp16"})
