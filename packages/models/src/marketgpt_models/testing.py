"""Conformance suite for model variants: subclass it, give the fixture ``implementation``, run pytest.

Legend: B batch, T time, K channels, F continuous inputs, C calendar fields, H horizons, S samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.testing_examples import EXAMPLE_HORIZONS, example_batch, example_history, example_spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_models.generation import PathDecoder

__all__ = ["ModelVariantConformance", "example_batch", "example_history", "example_spec"]


class ModelVariantConformance:
    """What every model variant must do; the fixture ``implementation`` gives a fresh variant."""

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Small tensors are fastest on one thread, and other tests keep theirs."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def build(self, variant: ModelVariant, spec: InputSpec, seed: int = 0) -> nn.Module:
        """Build a module from seeded weights, in evaluation mode, no weight left at zero."""
        import torch

        torch.manual_seed(seed)
        module = variant.build(spec).eval()
        with torch.no_grad():
            for weight in module.parameters():
                # Outputs that start at zero would hide whatever flows into them.
                weight.add_(0.05 * torch.randn_like(weight))
        return module

    def score(self, module: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Run the module without gradients."""
        import torch

        with torch.no_grad():
            result: dict[str, Tensor] = module(batch)
        return result

    def logits(self, module: nn.Module, batch: dict[str, Tensor]) -> list[Tensor]:
        """Return the module's token_logits, without gradients."""
        import torch

        with torch.no_grad():
            result: list[Tensor] = module.token_logits(batch)  # type: ignore[operator]
        return result

    def test_is_a_model_variant(self, implementation: Any) -> None:  # noqa: ANN401 - under test
        """It is a ModelVariant with its own Config, a context and a forecaster that can be found."""
        assert isinstance(implementation, ModelVariant)
        assert isinstance(implementation.config, type(implementation).Config)
        assert implementation.config.context >= 2
        assert hasattr(resolve_name(implementation.forecaster_class), "from_pretrained")

    @pytest.mark.parametrize("horizons", [(), EXAMPLE_HORIZONS])
    def test_keeps_its_promised_size(self, implementation: ModelVariant, horizons: tuple[int, ...]) -> None:
        """num_parameters(spec) is exactly what build(spec) gives; what cannot be served both refuse."""
        spec = example_spec(horizons)
        try:
            promised = implementation.num_parameters(spec)
        except ConfigError:
            if horizons:
                raise
            with pytest.raises(ConfigError):
                implementation.build(spec)
            return
        built = sum(weight.numel() for weight in implementation.build(spec).parameters())
        assert promised == built

    def test_gives_finite_scalars(self, implementation: ModelVariant) -> None:
        """Forward returns the promised scalars; nll is the sum over channels; loss has a gradient."""
        import torch

        spec = example_spec()
        module = self.build(implementation, spec)
        result = module(example_batch(spec))
        channels = [f"nll_{k}" for k in range(len(spec.vocab_sizes))]
        for name in ("loss", "nll", "horizon_nll", *channels):
            assert result[name].shape == (), f"{name} is not a scalar"
            assert bool(torch.isfinite(result[name])), f"{name} is not finite"
        assert not any(result[name].requires_grad for name in ("nll", "horizon_nll", *channels))
        torch.testing.assert_close(result["nll"], torch.stack([result[name] for name in channels]).sum())
        result["loss"].backward()
        assert all(weight.grad is not None for weight in module.parameters() if weight.requires_grad)

    def test_token_logits_are_what_is_scored(self, implementation: ModelVariant) -> None:
        """token_logits gives one law a channel, and its cross-entropies are the nll's."""
        import torch

        spec = example_spec()
        module, batch = self.build(implementation, spec), example_batch(spec)
        logits = self.logits(module, batch)
        said = self.score(module, batch)
        assert [one.shape[-1] for one in logits] == list(spec.vocab_sizes)
        for k, one in enumerate(logits):
            loss = torch.nn.functional.cross_entropy(one.flatten(0, 1), batch["targets"][..., k].flatten())
            torch.testing.assert_close(loss, said[f"nll_{k}"])

    def test_an_unknown_asset_is_scored(self, implementation: ModelVariant) -> None:
        """Ids of 0, for what training never saw, give finite scores."""
        import torch

        spec = example_spec()
        batch = example_batch(spec)
        unknown = {name: torch.zeros_like(batch[name]) for name in ("asset", "category")}
        result = self.score(self.build(implementation, spec), batch | unknown)
        assert bool(torch.isfinite(result["loss"]))

    def test_starts_no_better_than_chance(self, implementation: ModelVariant) -> None:
        """On random tokens an untrained module is about as good as a uniform guess, not better."""
        import torch

        spec = example_spec()
        torch.manual_seed(0)
        result = self.score(implementation.build(spec).eval(), example_batch(spec, size=16))
        uniform = float(torch.tensor(spec.vocab_sizes).double().log().sum())
        assert uniform - 0.1 < float(result["nll"]) < uniform + 1.0

    def test_never_looks_ahead(self, implementation: ModelVariant) -> None:
        """What is said at a position does not change with any input after it."""
        import torch

        spec = example_spec()
        module = self.build(implementation, spec)
        batch = example_batch(spec)
        other = example_batch(spec, seed=1)
        for position in (0, 5, 10):
            changed = {**batch}
            for name in ("tokens", "continuous", "calendar"):
                changed[name] = torch.cat((batch[name][:, : position + 1], other[name][:, position + 1 :]), 1)
            mask = torch.zeros_like(batch["mask"])
            mask[:, : position + 1] = True
            before = self.score(module, {**batch, "mask": mask})
            after = self.score(module, {**changed, "mask": mask})
            for name in ("nll", "horizon_nll"):
                torch.testing.assert_close(before[name], after[name], rtol=1e-6, atol=1e-6)

    def test_uses_what_it_may_see(self, implementation: ModelVariant) -> None:
        """What is said at a position changes with each kind of input at it, and with the candle before."""
        spec = example_spec()
        module = self.build(implementation, spec)
        batch, other = example_batch(spec), example_batch(spec, seed=1)
        said = self.logits(module, batch)[0][:, 8]
        for name, position in (("tokens", 8), ("continuous", 8), ("calendar", 8), ("tokens", 7)):
            changed = batch[name].clone()
            changed[:, position] = other[name][:, position]
            now = self.logits(module, {**batch, name: changed})[0][:, 8]
            assert float((now - said).abs().max()) > 1e-6, f"{name} at {position - 8:+d} makes no difference"

    def test_channels_are_a_chain(self, implementation: ModelVariant) -> None:
        """A channel is scored given the channels before it in the same candle, never those after it."""
        import torch

        spec = example_spec()
        module = self.build(implementation, spec)
        batch, other = example_batch(spec), example_batch(spec, seed=1)
        # Of one candle only: a channel may well depend on the later channels of an earlier one.
        batch["mask"][:] = torch.arange(batch["mask"].shape[1]) == 8
        said = self.score(module, batch)
        for channel in range(1, len(spec.vocab_sizes)):
            targets = batch["targets"].clone()
            targets[:, 8, channel] = other["targets"][:, 8, channel]
            now = self.score(module, {**batch, "targets": targets})
            assert float(now[f"nll_{channel}"]) != float(said[f"nll_{channel}"])
            for before in range(channel):
                torch.testing.assert_close(now[f"nll_{before}"], said[f"nll_{before}"], rtol=1e-6, atol=1e-6)

    def test_scores_only_what_counts(self, implementation: ModelVariant) -> None:
        """Targets where the mask is False, and NaN horizon targets, change nothing; none at all is finite."""
        import torch

        spec = example_spec()
        module = self.build(implementation, spec)
        batch, other = example_batch(spec), example_batch(spec, seed=1)
        mask = batch["mask"].clone()
        mask[:, 6:] = False
        said = self.score(module, {**batch, "mask": mask})
        targets, z = batch["targets"].clone(), batch["horizon_z"].clone()
        targets[:, 6:], z[:, 6:] = other["targets"][:, 6:], float("nan")
        tasks = torch.cat((batch["tasks"][:, :6], other["tasks"][:, 6:]), dim=1)
        now = self.score(module, {**batch, "mask": mask, "targets": targets, "horizon_z": z, "tasks": tasks})
        for name in ("nll", "horizon_nll", "loss"):
            torch.testing.assert_close(now[name], said[name], rtol=1e-6, atol=1e-6)
        none = self.score(module, {**batch, "mask": torch.zeros_like(mask)})
        assert bool(torch.isfinite(none["loss"]))

    def test_is_decided_by_the_seed(self, implementation: ModelVariant) -> None:
        """The same seed builds the same module, another seed another; evaluation is deterministic."""
        import torch

        spec = example_spec()
        batch = example_batch(spec)
        losses = [
            float(self.score(self.build(implementation, spec, seed), batch)["loss"]) for seed in (3, 3, 4)
        ]
        assert losses[0] == losses[1] != losses[2]
        module = self.build(implementation, spec)
        torch.testing.assert_close(self.score(module, batch), self.score(module, batch), rtol=0, atol=0)

    def test_survives_its_state_dict(self, implementation: ModelVariant) -> None:
        """The state dict holds everything that decides what is said."""
        spec = example_spec()
        module = self.build(implementation, spec)
        copy = implementation.build(spec).eval()
        copy.load_state_dict(module.state_dict())
        batch = example_batch(spec)
        assert float(self.score(copy, batch)["loss"]) == float(self.score(module, batch)["loss"])

    def test_learns_a_pattern(self, implementation: ModelVariant) -> None:
        """Thirty steps on a repeating pattern take a tenth off the loss at least."""
        import torch

        spec = example_spec()
        torch.manual_seed(0)
        module = implementation.build(spec).train()
        batch = example_batch(spec, size=8, length=16)
        steps = torch.arange(17) % 3
        tokens = torch.stack([steps % size for size in spec.vocab_sizes], dim=-1).expand(8, -1, -1)
        batch |= {"tokens": tokens[:, :-1].contiguous(), "targets": tokens[:, 1:].contiguous()}
        optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
        nlls = []
        for _ in range(30):
            optimiser.zero_grad()
            result = module(batch)
            result["loss"].backward()
            optimiser.step()
            nlls.append(float(result["nll"]))
        assert nlls[-1] < 0.9 * nlls[0], f"nll went from {nlls[0]:.3f} to {nlls[-1]:.3f}"

    def decoder(self, module: nn.Module) -> PathDecoder:
        """Return the module's decoder, or skip: a variant may forecast without one."""
        if not hasattr(module, "decoder"):
            pytest.skip("the module has no decoder(): its forecaster samples in its own way")
        made: PathDecoder = module.decoder()  # type: ignore[operator]
        return made

    def test_draws_are_what_is_scored(self, implementation: ModelVariant) -> None:
        """A candle is drawn from token_logits: each channel by its inverse cdf, given those drawn before."""
        import torch

        spec = example_spec()
        module, batch = self.build(implementation, spec), example_batch(spec, size=16)
        decoder, k = self.decoder(module), len(spec.vocab_sizes)
        u = torch.rand(16, 1, k, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            h, cache = decoder.begin(example_history(batch, 12), num_samples=1, num_steps=1)
            drawn = decoder.draw(h[:, None], u, 1.0, cache)[:, 0]
        batch["targets"][:, -1] = drawn
        logits = self.logits(module, batch)
        for channel, one in enumerate(logits):
            cdf = one[:, -1].softmax(dim=-1).cumsum(dim=-1)
            expected = torch.searchsorted(cdf, u[:, 0, channel : channel + 1].contiguous(), right=True)[:, 0]
            assert torch.equal(drawn[:, channel], expected.clamp(max=spec.vocab_sizes[channel] - 1))

    def test_direct_heads_are_what_is_scored(self, implementation: ModelVariant) -> None:
        """horizon_probabilities are laws over the bins, and their log score is horizon_nll."""
        import torch

        from marketgpt_models.horizon_bins import HorizonBins

        spec = example_spec()
        module, batch = self.build(implementation, spec), example_batch(spec)
        with torch.inference_mode():
            decoder = self.decoder(module)
            h, _ = decoder.begin(example_history(batch, 12), num_samples=1, num_steps=1)
            law = decoder.horizon_probabilities(h)
        if law is None:
            pytest.skip("the variant has no direct heads")
        batch["mask"][:, :-1] = False
        bins = HorizonBins.from_json(spec.horizon_bins).encode(batch["horizon_z"][:, -1].numpy())
        scored = -law.gather(-1, torch.from_numpy(bins)[..., None]).log().mean()
        torch.testing.assert_close(scored, self.score(module, batch)["horizon_nll"])

    def test_paths_grow_as_histories_do(self, implementation: ModelVariant) -> None:
        """Drawing and adding candles leads to the state that beginning with them in the history gives."""
        import torch

        spec = example_spec()
        module, batch = self.build(implementation, spec), example_batch(spec, length=20)
        generator = torch.Generator().manual_seed(3)
        decoder = self.decoder(module)
        history = example_history(batch, 8)
        with torch.inference_mode():
            h, cache = decoder.begin(history, num_samples=2, num_steps=3)
            assert decoder.path_bytes(3) > 0
            h = h[:, None].expand(-1, 2, -1)
            history = {name: one.repeat_interleave(2, dim=0) for name, one in history.items()}
            for step in range(8, 11):
                u = torch.rand(4, 2, len(spec.vocab_sizes), generator=generator)
                tokens = decoder.draw(h, u, 1.0, cache)
                continuous = torch.randn(4, 2, spec.num_continuous, generator=generator)
                calendar = batch["calendar"][:, step]
                h = decoder.extend(tokens, continuous, calendar, cache)
                added = {
                    "tokens": tokens.flatten(0, 1),
                    "continuous": continuous.flatten(0, 1),
                    "calendar": calendar.repeat_interleave(2, dim=0),
                    "valid": torch.ones(8, dtype=torch.bool),
                }
                history |= {n: torch.cat((history[n], new[:, None]), dim=1) for n, new in added.items()}
                whole, _ = decoder.begin(history, num_samples=1, num_steps=1)
                torch.testing.assert_close(h.flatten(0, 1), whole, rtol=1e-4, atol=1e-5)

    def test_padding_leaves_no_trace(self, implementation: ModelVariant) -> None:
        """A history says the same with padding before it, whatever stands there, and beside longer ones."""
        import torch

        spec = example_spec()
        module, batch = self.build(implementation, spec), example_batch(spec)
        decoder = self.decoder(module)
        padded = example_history(batch, 12)
        padded["valid"] = padded["valid"].clone()
        for row, first in enumerate((5, 11, 2)):
            padded["valid"][row, :first] = False
        u = torch.rand(4, 1, len(spec.vocab_sizes), generator=torch.Generator().manual_seed(4))
        with torch.inference_mode():
            together, cache = decoder.begin(padded, num_samples=1, num_steps=2)
            tokens = decoder.draw(together[:, None], u, 1.0, cache)
            then = decoder.extend(tokens, batch["continuous"][:, :1], batch["calendar"][:, 0], cache)
            for row, first in enumerate((5, 11, 2, 0)):
                alone = {name: one[row : row + 1] for name, one in padded.items()}
                for name in ("tokens", "continuous", "calendar", "valid"):
                    alone[name] = alone[name][:, first:]
                h, cache = decoder.begin(alone, num_samples=1, num_steps=2)
                torch.testing.assert_close(h[0], together[row], rtol=1e-4, atol=1e-5)
                drawn = decoder.draw(h[:, None], u[row : row + 1], 1.0, cache)
                assert torch.equal(drawn[0], tokens[row])
                rest = batch["continuous"][row : row + 1, :1], batch["calendar"][row : row + 1, 0]
                torch.testing.assert_close(
                    decoder.extend(drawn, *rest, cache)[0], then[row], rtol=1e-4, atol=1e-5
                )
