import numpy as np
import pytest

from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles
from marketgpt_models.features import features_of
from marketgpt_models.testing import example_spec
from marketgpt_training.config import DisturbConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.mirror import Mirror

NAMES = ("gap", "body", "up", "low")


@pytest.fixture(scope="module")
def candles():
    return make_candles(("AAA", "BBB"), num_candles=800)


@pytest.fixture(scope="module")
def tokenizer(candles):
    return registry("tokenizer").create("ohlc").fit(candles)


@pytest.fixture(scope="module")
def tokens(candles, tokenizer):
    return np.concatenate([tokenizer.encode(one).tokens for one in candles.values()]).astype(np.int64)


def test_ranks_are_turned_over_and_wicks_change_places(tokens):
    made = Mirror(tokens, NAMES)(tokens, np.random.default_rng(0))
    for k in (0, 1):
        # A constant loses its rank's order; what is left must be the opposite one.
        assert np.corrcoef(tokens[:, k], made[:, k])[0, 1] < -0.98
    for k, other in ((2, 3), (3, 2)):
        assert np.corrcoef(tokens[:, other], made[:, k])[0, 1] > 0.98


def test_the_shares_of_tokens_stay(tokens):
    made = Mirror(tokens, NAMES)(tokens, np.random.default_rng(0))
    for k in range(4):
        before, after = (np.bincount(one[:, k], minlength=tokens[:, k].max() + 1) for one in (tokens, made))
        spread = np.sqrt(np.maximum(before, 1))
        assert (np.abs(before - after) / spread).max() < 5


def test_twice_mirrored_is_where_it_was(tokens):
    mirror = Mirror(tokens, NAMES)
    twice = mirror(mirror(tokens, np.random.default_rng(0)), np.random.default_rng(1))
    assert np.abs(twice - tokens).max() <= 1 + np.bincount(tokens[:, 0]).size // 10


def test_the_image_is_as_far_from_the_middle(tokens, tokenizer):
    made = Mirror(tokens, NAMES)(tokens, np.random.default_rng(0))
    before, after = tokenizer.values(tokens), tokenizer.values(made)
    far = np.abs(before[:, 1]) > 1
    assert np.corrcoef(np.abs(before[far, 1]), np.abs(after[far, 1]))[0, 1] > 0.9
    assert np.sign(before[far, 1]) == pytest.approx(-np.sign(after[far, 1]))


def test_another_channel_stays(tokens):
    five = np.concatenate([tokens, tokens[:, :1]], axis=1)
    made = Mirror(five, (*NAMES, "volume"))(five, np.random.default_rng(0))
    assert np.array_equal(made[:, 4], five[:, 4])


def dataset_of(candles, tokenizer, share):
    features = [features_of(tokenizer.encode(one), (1, 5)) for one in candles.values()]
    return dataset_from(features, tokenizer, share)


def dataset_from(features, tokenizer, share):
    return WindowDataset(
        features,
        context=32,
        spec=example_spec((1, 5)),
        disturb=DisturbConfig(market_noise=0, withhold_rate=0, mirrored_candles=share),
        channel_names=tokenizer.channel_names,
    )


def generators(count):
    return [np.random.default_rng([1, number]) for number in range(count)]


def test_half_the_share_of_the_targets_is_mirrored_and_no_input_is(candles, tokenizer):
    plain, mirrored = (dataset_of(candles, tokenizer, share) for share in (0.0, 0.8))
    windows = plain.windows(np.random.default_rng(0))
    before, after = (one.batch(windows, generators(len(windows))) for one in (plain, mirrored))
    for name in ("tokens", "continuous", "calendar", "horizon_z", "mask"):
        assert np.array_equal(before[name].numpy(), after[name].numpy(), equal_nan=True)
    counted = before["mask"].numpy()
    changed = (before["targets"] != after["targets"]).any(dim=-1).numpy()
    assert not changed[~counted].any()
    assert changed[counted].mean() == pytest.approx(0.4, abs=0.05)


def test_without_a_generator_nothing_is_mirrored(candles, tokenizer):
    plain, mirrored = (dataset_of(candles, tokenizer, share) for share in (0.0, 1.0))
    windows = plain.windows(None)
    assert np.array_equal(plain.batch(windows)["targets"], mirrored.batch(windows)["targets"])


@pytest.mark.parametrize(("share", "left"), [(0.0, 0.9), (0.5, 0.45), (1.0, 0.0)])
def test_of_what_follows_in_sign_so_much_is_left(candles, tokenizer, share, left):
    """Bodies keep their sign for fifty candles: a token says the next one's but for the share mirrored."""
    lowest, highest = 0, tokenizer.vocab_sizes[1] - 1
    runs = np.repeat(np.resize([lowest, highest], 40), 50)
    made = []
    for one in candles.values():
        features = features_of(tokenizer.encode(one), (1, 5))
        features.tokens[:, 1] = runs[: len(features)]
        made.append(features)
    data = dataset_from(made, tokenizer, share)
    windows = data.windows(np.random.default_rng(3))
    batch = data.batch(windows, generators(len(windows)))
    mask = batch["mask"].numpy()
    own, following = (batch[name].numpy()[mask][:, 1] for name in ("tokens", "targets"))
    signs = [np.sign(one - highest / 2) for one in (own, following)]
    assert (signs[0] * signs[1]).mean() == pytest.approx(left, abs=0.1)
