from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_core.plugins import registry
from marketgpt_training.config import OptimConfig
from marketgpt_training.engines.deepspeed_config import deepspeed_config
from marketgpt_training.testing import TrainingEngineConformance, tiny_batch, tiny_module

# DeepSpeed and what it imports warn about themselves; that is theirs to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", registry("training-engine").names())
class TestEveryInstalledEngine(TrainingEngineConformance):
    @pytest.fixture
    def implementation(self, name):
        return registry("training-engine").create(name)


def _curve(name, options):
    engine = registry("training-engine").create(name, options)
    try:
        engine.prepare(tiny_module(seed=1), OptimConfig(weight_decay=0.1, grad_clip=0.5), batch_size=32)
        engine.validate(tiny_batch())
        import torch

        torch.manual_seed(5)
        return [engine.train_step(tiny_batch(step), 5e-3)["loss"] for step in range(20)], engine.weights()
    finally:
        engine.close()


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_deepspeed_walks_the_same_curve_as_plain_torch(zero_stage):
    plain, weights = _curve("torch", {"device": "cpu"})
    deep, deep_weights = _curve("deepspeed", {"zero_stage": zero_stage})
    assert deep == pytest.approx(plain, rel=1e-4)
    assert all(weights[name].allclose(deep_weights[name], atol=1e-4) for name in weights)


@pytest.mark.parametrize("zero_stage", [0, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deepspeed_config_is_the_golden_one(zero_stage, precision):
    made = deepspeed_config(
        OptimConfig(), batch_size=8, world_size=2, zero_stage=zero_stage, precision=precision
    )
    golden = GOLDEN / f"zero{zero_stage}_{precision}.json"
    assert made == json.loads(golden.read_text(encoding="utf-8"))


def test_a_missing_gpu_is_one_clear_line():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="device='cuda', but torch finds no CUDA device"):
        registry("training-engine").create("torch", {"device": "cuda"})


def test_deepspeed_needs_no_compiler_for_one_rank(monkeypatch, tmp_path):
    """A fresh machine has no g++: training on it must not ask for one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = registry("training-engine").create("deepspeed")
    engine.prepare(tiny_module(), OptimConfig(), batch_size=32)
    assert engine.train_step(tiny_batch(), 1e-3)["loss"] > 0
    engine.close()
