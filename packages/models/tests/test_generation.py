import numpy as np
import pytest
import torch

from marketgpt_core.symbols import Category
from marketgpt_core.tokens import VolatilityState
from marketgpt_models import generation
from marketgpt_models.calendar import DAY
from marketgpt_models.features import features_of
from marketgpt_models.generation import sample_paths, sample_paths_uncached
from marketgpt_models.prefix import MODEL_INPUTS, Prefix, calendars_ahead, row_seed, stamps_ahead, windows_of

STEPS = 6
# Every way to grow paths: heads of keys and values, layouts of a candle, trunks.
ARMS = {
    "one_key_head": {},
    "many_key_heads": {"num_kv_heads": 2},
    "single_head": {"num_heads": 1},
    "parallel": {"layout": "parallel"},
    "flattened": {"layout": "flattened"},
    "lstm": {"variant": "lstm"},
    "gru": {"variant": "gru"},
}
# Those whose decoder or cache is a class of its own.
DECODERS = ["one_key_head", "flattened", "lstm", "gru"]


@pytest.fixture(scope="module")
def prefix(candles, tokenizer):
    """Six rows of three symbols, two of them with less history than the context of 16."""
    series = np.array([0, 0, 1, 1, 2, 2])
    rows = np.array([9, 40, 12, 90, 100, 158])
    every = list(candles.values())
    features = [features_of(tokenizer.encode(one), ()) for one in every]
    states = [tokenizer.begin(every[s][: row + 2]) for s, row in zip(series, rows, strict=True)]
    stamps = np.array([features[s].time[row] for s, row in zip(series, rows, strict=True)])
    return Prefix(
        **windows_of(features, series, rows, 16),
        asset=series + 1,
        category=np.ones(len(series), dtype=np.int64),
        calendar_ahead=calendars_ahead(stamps, stamps_ahead(stamps, Category.US, DAY, STEPS), Category.US),
        covariates_ahead=np.zeros((len(series), STEPS, 0), dtype=np.float32),
        state=VolatilityState.concatenated(states),
        seeds=np.array([row_seed(0, every[s].symbol, at) for s, at in zip(series, stamps, strict=True)]),
    )


def grow(module, tokenizer, prefix, sampler=sample_paths, **options):
    given = {"num_steps": STEPS, "num_samples": 12, "num_passes": 3, "seed": 5} | options
    return sampler(module, tokenizer, prefix, **given)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("passes", [1, 3])
def test_cached_paths_are_the_uncached_ones(build, tokenizer, prefix, arm, passes):
    module = build(**ARMS[arm])
    fast = grow(module, tokenizer, prefix, num_passes=passes)
    slow = grow(module, tokenizer, prefix, sample_paths_uncached, num_passes=passes)
    np.testing.assert_allclose(fast.log_returns, slow.log_returns, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fast.horizon_probabilities, slow.horizon_probabilities, rtol=0, atol=1e-5)
    assert fast.log_returns.std() > 1e-3


@pytest.mark.parametrize("arm", ["one_key_head", "lstm", "gru"])
def test_states_agree_at_every_step(build, tokenizer, prefix, arm):
    """The trunk's states themselves, not only the tokens drawn from them."""
    from marketgpt_models.uncached import UncachedDecoder

    module = build(**ARMS[arm])
    inputs = {name: torch.from_numpy(getattr(prefix, name)) for name in MODEL_INPUTS}
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        pairs = [
            (decoder, *decoder.begin(inputs, num_samples=3, num_steps=4))
            for decoder in (module.decoder(), UncachedDecoder(module))
        ]
        torch.testing.assert_close(pairs[0][1], pairs[1][1], rtol=0, atol=1e-5)
        for step in range(4):
            tokens = torch.stack(
                [torch.randint(0, v, (6, 3), generator=generator) for v in (3, 3, 2, 2)], dim=-1
            )
            continuous = torch.randn(6, 3, 7, generator=generator)
            calendar = torch.from_numpy(prefix.calendar_ahead)[:, step]
            fast, slow = (decoder.extend(tokens, continuous, calendar, cache) for decoder, _, cache in pairs)
            torch.testing.assert_close(fast, slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize("arm", DECODERS)
def test_rows_do_not_depend_on_the_batch(build, tokenizer, prefix, monkeypatch, arm):
    module = build(**ARMS[arm])
    together = grow(module, tokenizer, prefix).log_returns
    for row in range(len(prefix)):
        alone = grow(module, tokenizer, prefix.rows(np.array([row]))).log_returns
        np.testing.assert_allclose(alone[0], together[row], rtol=0, atol=1e-6)
    monkeypatch.setitem(generation._ROWS_A_CHUNK, "cpu", 2)
    np.testing.assert_allclose(grow(module, tokenizer, prefix).log_returns, together, rtol=0, atol=1e-6)
    monkeypatch.setitem(generation._BYTES_A_CHUNK, "cpu", 1)
    np.testing.assert_allclose(grow(module, tokenizer, prefix).log_returns, together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("arm", DECODERS)
def test_threads_change_nothing(build, tokenizer, prefix, arm):
    module = build(**ARMS[arm])
    one = grow(module, tokenizer, prefix)
    torch.set_num_threads(2)
    two = grow(module, tokenizer, prefix)
    assert torch.get_num_threads() == 2
    np.testing.assert_allclose(one.log_returns, two.log_returns, rtol=0, atol=1e-6)
    np.testing.assert_allclose(one.horizon_probabilities, two.horizon_probabilities, rtol=0, atol=1e-6)


def test_the_seed_decides(build, tokenizer, prefix):
    from dataclasses import replace

    module = build()
    paths = grow(module, tokenizer, prefix).log_returns
    assert np.array_equal(paths, grow(module, tokenizer, prefix).log_returns)
    other = replace(prefix, seeds=prefix.seeds + 1)
    assert not np.allclose(paths, grow(module, tokenizer, other).log_returns)


@pytest.mark.parametrize("arm", DECODERS)
def test_passes_are_distinct_opinions_and_one_pass_is_the_full_network(build, tokenizer, prefix, arm):
    module = build(**ARMS[arm])
    three = grow(module, tokenizer, prefix).horizon_probabilities
    assert three.shape == (3, 6, 2, 32)
    assert np.abs(three[0] - three[1]).max() > 1e-3
    one = grow(module, tokenizer, prefix, num_passes=1).horizon_probabilities
    other_seed = grow(module, tokenizer, prefix, num_passes=1, seed=6).horizon_probabilities
    assert np.array_equal(one, other_seed)
    assert all(layer.mask_D is None for layer in module.modules() if hasattr(layer, "mask_D"))


def test_the_first_candle_is_drawn_from_strata(build, tokenizer, prefix):
    """With as many samples as there are strata, each share of a uniform law is met exactly."""
    module = build(noise=0.0)
    paths = grow(module, tokenizer, prefix, num_samples=400, num_passes=1, num_steps=1).log_returns
    plan = generation._Plan(1, 400, 1, 0, 1.0)
    levels = plan.draws(prefix.seeds[:1], 0, 4)[0, 0].numpy()
    for column in levels.T:
        assert np.array_equal(np.sort((column * 400).astype(int)), np.arange(400))
    assert np.abs(np.median(paths, axis=1)).max() < 0.004


def test_an_untrained_model_gives_the_tokenizers_law(build, tokenizer, prefix):
    """Uniform tokens: the sampled first return has the spread of uniform draws over the bins, times sigma."""
    module = build(noise=0.0)
    sample = grow(module, tokenizer, prefix, num_samples=3_000, num_passes=1, num_steps=1)
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(0, size, 20_000) for size in tokenizer.vocab_sizes], axis=-1)
    values = tokenizer.values(tokens, rng.random(tokens.shape))
    expected = (values[:, 0] + values[:, 1]).std() * sample.next_sigma
    np.testing.assert_allclose(sample.log_returns[:, :, 0].std(axis=1), expected, rtol=0.08)


def test_volatility_is_carried_along_each_path(build, tokenizer, prefix):
    """An untrained model draws tokens evenly, so its paths can be rebuilt by hand from the same levels."""
    row = prefix.rows(np.array([3]))
    paths = grow(build(noise=0.0), tokenizer, row, num_samples=50, num_passes=1).log_returns[0]
    draws = generation._Plan(STEPS, 50, 1, 5, 1.0).draws(row.seeds, 0, 4)[0].numpy()
    sizes = np.array(tokenizer.vocab_sizes)
    state, total = row.state.repeat(50), np.zeros(50)
    for step in range(STEPS):
        values = tokenizer.values((draws[step, :, :4] * sizes).astype(int), draws[step, :, 4:])
        total = total + tokenizer.sigma(state) * (values[:, 0] + values[:, 1])
        np.testing.assert_allclose(paths[:, step], total, atol=1e-6)
        state = tokenizer.advance(state, values)
    assert state.fast.std() > 0.02 * state.fast.mean()


def test_samples_must_divide_into_passes(build, tokenizer, prefix):
    with pytest.raises(ValueError, match="10 samples do not divide into 3 passes"):
        grow(build(), tokenizer, prefix, num_samples=10)


def test_highs_and_lows_are_those_of_the_candles(build, tokenizer, prefix):
    """An untrained model's candles are rebuilt by hand; the closes do not change when extremes are kept."""
    module, row = build(noise=0.0), prefix.rows(np.array([3]))
    plain = grow(module, tokenizer, row, num_samples=50, num_passes=1)
    kept = grow(module, tokenizer, row, num_samples=50, num_passes=1, extremes=True)
    assert plain.highs is None
    np.testing.assert_array_equal(plain.log_returns, kept.log_returns)
    draws = generation._Plan(STEPS, 50, 1, 5, 1.0).draws(row.seeds, 0, 4)[0].numpy()
    sizes = np.array(tokenizer.vocab_sizes)
    state, close = row.state.repeat(50), np.ones(50)
    for step in range(STEPS):
        tokens = (draws[step, :, :4] * sizes).astype(int)
        values = tokenizer.values(tokens, draws[step, :, 4:])
        scaled = tokenizer.sigma(state)[:, None] * values
        open_ = close * np.exp(scaled[:, 0])
        close = open_ * np.exp(scaled[:, 1])
        high = np.maximum(open_, close) * np.exp(scaled[:, 2])
        low = np.minimum(open_, close) * np.exp(-scaled[:, 3])
        np.testing.assert_allclose(np.exp(kept.highs[0, :, step]), high, rtol=1e-6)
        np.testing.assert_allclose(np.exp(kept.lows[0, :, step]), low, rtol=1e-6)
        state = tokenizer.advance(state, values)
