import numpy as np
import pytest
import torch

from marketgpt_models import load_forecaster
from marketgpt_models.candle_law import CloseLaw, MoveGrid
from marketgpt_models.mixing import LEVELS


@pytest.fixture(scope="module")
def grid(tokenizer):
    return MoveGrid.of(tokenizer)


def law_of(grid, probabilities, scale=1.0):
    """Of one pass and one row, from a joint law of gap and body."""
    return CloseLaw(grid.points, (probabilities.reshape(1, -1) @ grid.below)[None], np.full((1, 1), scale))


def test_a_pair_of_bins_has_the_sum_of_their_laws(grid, tokenizer):
    """One pair against a million draws of both bins."""
    rng = np.random.default_rng(0)
    gap, body = 2, 5
    tokens = np.zeros((1_000_000, 4), dtype=np.int64)
    tokens[:, 0], tokens[:, 1] = gap, body
    moves = tokenizer.values(tokens, rng.random(tokens.shape))[:, :2].sum(axis=1)
    probabilities = np.zeros(tokenizer.vocab_sizes[:2])
    probabilities[gap, body] = 1.0
    made = law_of(grid, probabilities).summary()
    spread = moves.std()
    np.testing.assert_allclose(made.quantiles[0, 0], np.quantile(moves, LEVELS), atol=0.12 * spread)
    assert made.p_up[0, 0] == pytest.approx((moves > 0).mean(), abs=0.02)
    assert made.aleatoric[0, 0] == pytest.approx(spread, rel=0.05)


def test_no_move_at_all_is_neither_up_nor_down(grid, tokenizer):
    probabilities = np.zeros(tokenizer.vocab_sizes[:2])
    probabilities[tokenizer.bins[0].atom, tokenizer.bins[1].atom] = 1.0
    made = law_of(grid, probabilities).summary()
    assert made.p_up[0, 0] == 0.5
    assert not made.quantiles.any()
    assert made.aleatoric[0, 0] < 1e-8


def test_the_scale_is_the_rows_sigma(grid):
    probabilities = np.random.default_rng(1).dirichlet(np.ones(grid.below.shape[0]))
    one, two = (law_of(grid, probabilities, scale).summary() for scale in (1.0, 0.02))
    np.testing.assert_allclose(two.quantiles, 0.02 * one.quantiles)
    np.testing.assert_allclose(two.aleatoric, 0.02 * one.aleatoric)
    np.testing.assert_allclose(two.p_up, one.p_up)


def test_passes_that_disagree_have_an_epistemic_spread(grid):
    laws = np.random.default_rng(2).dirichlet(np.ones(grid.below.shape[0]) / 50, size=(4, 3))
    scale = np.full((3, 1), 0.01)
    several = CloseLaw(grid.points, laws @ grid.below, scale)
    made = several.summary()
    assert (made.epistemic > 0).all()
    alone = [CloseLaw(grid.points, one[None] @ grid.below, scale).summary() for one in laws]
    assert not any(one.epistemic.any() for one in alone)
    np.testing.assert_allclose(made.p_up, np.mean([one.p_up for one in alone], axis=0))
    assert (np.diff(several.points()[:, 0], axis=1) >= 0).all()


@pytest.mark.parametrize("name", ["market_gpt", "gru"])
def test_the_heads_close_is_what_sampling_tends_to(name, write_run, candles, tmp_path):
    run = write_run(tmp_path / "run", name=name, noise=0.3)
    asked = {"horizons": (1,), "as_of": ["2015-05-01"]}
    exact = load_forecaster(run.path, mix="heads", num_passes=1).forecast(candles, num_samples=1, **asked)
    paths = load_forecaster(run.path, mix="paths", num_passes=1)
    drawn = paths.forecast(candles, num_samples=20_000, **asked)
    np.testing.assert_allclose(exact.p_up, drawn.p_up, atol=0.015)
    np.testing.assert_allclose(exact.aleatoric, drawn.aleatoric, rtol=0.03)
    inner = slice(2, -2)
    apart = np.abs(exact.quantiles - drawn.quantiles)[:, 0, inner] / drawn.aleatoric[:, :1]
    assert apart.max() < 0.1


def test_it_needs_no_draws(run_folder, candles):
    forecaster = load_forecaster(run_folder, mix="heads", num_passes=1)
    one, two = (forecaster.forecast(candles, horizons=(1, 3), num_samples=n, seed=n) for n in (1, 7))
    np.testing.assert_array_equal(one.quantiles, two.quantiles)


def test_dropout_passes_are_mixed(run_folder, candles):
    made = load_forecaster(run_folder, mix="heads", num_passes=4).forecast(candles, horizons=(1,))
    assert (made.epistemic > 0).all()


def test_a_layout_that_cannot_tell_takes_its_direct_head(write_run, candles, tmp_path):
    run = write_run(tmp_path / "run", layout="flattened")
    forecaster = load_forecaster(run.path, mix="heads", num_passes=1)
    made = forecaster.forecast(candles, horizons=(1,), num_samples=1)
    assert np.isfinite(made.quantiles).all()
    h_ND = torch.zeros(1, forecaster.module.network_config.dim)
    assert forecaster.module.decoder().move_probabilities(h_ND, 1.0) is None


def test_channels_in_another_order_have_no_grid():
    class Other:
        channel_names = ("up", "gap", "body", "low")

    assert MoveGrid.of(Other()) is None
