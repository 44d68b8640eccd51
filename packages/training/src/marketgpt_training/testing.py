"""The conformance suite of training engines, for pytest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from marketgpt_training.config import OptimConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_training.base import Batch, TrainingEngine


def tiny_module(seed: int = 0) -> nn.Module:
    """Return a module with dropout whose ``forward(batch)`` gives a loss, built from a seed."""
    import torch
    from torch import nn

    class Regression(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 16)
            self.dropout = nn.Dropout(0.1)
            self.outer = nn.Linear(16, 1)

        def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            hidden = self.dropout(torch.tanh(self.inner(batch["x"])))
            loss = (self.outer(hidden) - batch["y"]).pow(2).mean()
            return {"loss": loss, "nll": loss.detach()}

    torch.manual_seed(seed)
    return Regression()


def tiny_batch(seed: int = 0) -> Batch:
    """Return a batch of a learnable linear law."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 4, generator=generator)
    return {"x": x, "y": x.sum(dim=1, keepdim=True)}


class TrainingEngineConformance:
    """Subclass it, give a fixture ``implementation`` with a fresh engine, and every requirement is tested."""

    @pytest.fixture
    def engine(self, implementation: TrainingEngine) -> Iterator[TrainingEngine]:
        """A prepared engine, closed at the end."""
        implementation.prepare(tiny_module(), OptimConfig(lr=1e-2), batch_size=32)
        yield implementation
        implementation.close()

    def test_config_refuses_unknown_options(self, implementation: TrainingEngine) -> None:
        """A misspelt option is an error, not a silent default."""
        from pydantic import ValidationError

        config: Any = type(implementation).Config
        with pytest.raises(ValidationError):
            config(no_such_option=1)
        implementation.close()

    def test_rank_lies_below_world_size(self, engine: TrainingEngine) -> None:
        """Ranks count from 0."""
        assert 0 <= engine.rank < engine.world_size

    def test_loss_falls(self, engine: TrainingEngine) -> None:
        """Sixty steps on one batch of a linear law at least halve its loss."""
        before = engine.validate(tiny_batch())["loss"]
        for _ in range(60):
            metrics = engine.train_step(tiny_batch(), 1e-2)
            assert math.isfinite(metrics["loss"])
            assert {"loss", "nll", "grad_norm"} <= set(metrics)
            assert metrics["grad_norm"] > 0
        assert engine.validate(tiny_batch())["loss"] < 0.5 * before

    def test_rate_of_zero_changes_nothing(self, engine: TrainingEngine) -> None:
        """The learning rate given is the one used (weight decay included)."""
        before = engine.weights()
        engine.train_step(tiny_batch(), 0.0)
        after = engine.weights()
        assert all(before[name].equal(after[name]) for name in before)

    def test_weights_are_copies(self, engine: TrainingEngine) -> None:
        """Training on does not change weights taken before."""
        taken = engine.weights()
        kept = {name: value.clone() for name, value in taken.items()}
        engine.train_step(tiny_batch(), 1e-2)
        assert all(taken[name].equal(kept[name]) for name in kept)
        assert not all(taken[name].equal(value) for name, value in engine.weights().items())

    def test_it_goes_on_from_its_state(self, engine: TrainingEngine) -> None:
        """What follows a state that was loaded is what followed it the first time, to the last bit."""
        import torch

        if not engine.resumable:
            pytest.skip("this engine keeps no checkpoints")

        def two_steps() -> dict[str, Tensor]:
            torch.manual_seed(3)  # dropout's
            for number in range(2):
                engine.train_step(tiny_batch(number), 1e-2)
            return engine.weights()

        engine.train_step(tiny_batch(9), 1e-2)
        state = engine.state()
        first = two_steps()
        engine.load_state(state)
        again = two_steps()
        assert all(first[name].equal(again[name]) for name in first)

    def test_a_spoiled_batch_changes_nothing(self, engine: TrainingEngine) -> None:
        """A loss that is not finite, or above ``most``, is not learned from."""
        before = engine.weights()
        spoiled = tiny_batch()
        spoiled["y"] = spoiled["y"] * math.nan
        for batch, most in ((spoiled, math.inf), (tiny_batch(), 0.0)):
            metrics = engine.train_step(batch, 1e-2, most=most)
            if not metrics.get("spoiled"):
                pytest.skip("this engine sees it too late: the loop goes back to a checkpoint")
        after = engine.weights()
        assert all(before[name].equal(after[name]) for name in before)
        assert engine.train_step(tiny_batch(), 1e-2)["grad_norm"] > 0

    def test_validation_is_repeatable(self, engine: TrainingEngine) -> None:
        """No dropout, no step: twice the same number."""
        assert engine.validate(tiny_batch())["loss"] == engine.validate(tiny_batch())["loss"]
