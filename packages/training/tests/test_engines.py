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


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((f"zero{stage}_{one}", {}) for stage in (0, 3) for one in ("fp32", "bf16", "fp16")),
        ("zero2_fp32_offload", {"offload_optimizer": "cpu"}),
        ("zero3_fp16_offload", {"offload_optimizer": "cpu", "offload_parameters": "cpu"}),
    ],
)
def test_deepspeed_config_is_the_golden_one(name, options):
    stage, precision = name.split("_")[:2]
    made = deepspeed_config(
        OptimConfig(), batch_size=8, world_size=2, zero_stage=int(stage[-1]), precision=precision, **options
    )
    golden = GOLDEN / f"{name}.json"
    assert made == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_what_lies_in_main_memory_walks_the_same_curve(stage):
    """On a CPU nothing moves, but other code steps: that of ZeRO-Offload."""
    options = {"zero_stage": stage, "offload_optimizer": "cpu"}
    plain, weights = _curve("deepspeed", {"zero_stage": stage})
    places = [options, *([{**options, "offload_parameters": "cpu"}] if stage == 3 else [])]
    for place in places:
        moved, moved_weights = _curve("deepspeed", place)
        assert moved == pytest.approx(plain, rel=1e-4)
        assert all(weights[name].allclose(moved_weights[name], atol=1e-4) for name in weights)


@pytest.mark.parametrize(
    ("stage", "name", "allowed"),
    [(0, "offload_optimizer", "1 to 3"), (0, "offload_parameters", "3"), (2, "offload_parameters", "3")],
)
def test_a_stage_that_cannot_move_it_is_refused(stage, name, allowed):
    with pytest.raises(ConfigError, match=f"{name}='cpu' is for zero_stage {allowed}, not {stage}; allowed"):
        registry("training-engine").create("deepspeed", {"zero_stage": stage, name: "cpu"})


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_gradient_that_is_not_finite_changes_nothing(stage):
    """The loss is a number, its gradient is none: seen after the backward pass alone."""
    import torch

    engine = registry("training-engine").create("deepspeed", {"zero_stage": stage})
    engine.prepare(tiny_module(), OptimConfig(ema_decay=0.5), batch_size=32)
    engine.train_step(tiny_batch(), 1e-2)
    before = engine.state()
    module = engine._engine.module
    hook = module.outer.register_full_backward_hook(lambda *_: (torch.full((32, 16), float("nan")),))
    metrics = engine.train_step(tiny_batch(), 1e-2)
    hook.remove()
    assert metrics["spoiled"]
    assert metrics["loss"] > 0
    after = engine.state()
    assert all(before[name].equal(after[name]) for name in before)
    assert engine.train_step(tiny_batch(), 1e-2)["grad_norm"] > 0
    engine.close()


def test_options_of_another_engine_are_refused():
    with pytest.raises(ConfigError, match=r"zero_stage.*training-engine torch"):
        registry("training-engine").create("torch", {"zero_stage": 1})


def test_deepspeed_needs_no_compiler_for_one_rank(monkeypatch, tmp_path):
    """A fresh machine has no g++: training on it must not ask for one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = registry("training-engine").create("deepspeed")
    engine.prepare(tiny_module(), OptimConfig(), batch_size=32)
    assert engine.train_step(tiny_batch(), 1e-3)["loss"] > 0
    engine.close()
