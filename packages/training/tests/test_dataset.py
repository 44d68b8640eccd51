from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import features_of, features_of_all
from marketgpt_models.testing import example_spec
from marketgpt_training.config import DisturbConfig
from marketgpt_training.dataset import WindowDataset

HORIZONS = (1, 5)
SPEC = example_spec(HORIZONS)


@pytest.fixture(scope="module")
def features(candles):
    tokenizer = registry("tokenizer").create("ohlc").fit(candles)
    return [features_of(tokenizer.encode(one), HORIZONS) for one in candles.values()]


def _stamp(features, dataset_batch):
    """Identify each counted target by its continuous inputs' bytes and its own tokens."""
    rows = []
    mask = dataset_batch["mask"].numpy()
    inputs, targets = dataset_batch["continuous"].numpy(), dataset_batch["targets"].numpy()
    for b, t in zip(*np.nonzero(mask), strict=True):
        rows.append(inputs[b, t].tobytes() + targets[b, t].tobytes())
    return rows


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("epoch", [0, 7])
def test_every_target_comes_once_an_epoch_whatever_the_ranks(features, world_size, epoch):
    dataset = WindowDataset(features, context=32, spec=SPEC)
    seen = []
    for rank in range(world_size):
        for batch in dataset.epoch(8, seed=1, epoch=epoch, rank=rank, world_size=world_size):
            seen += _stamp(features, batch)
    expected = sum(len(one.time) - 1 for one in features)
    assert dataset.num_targets == expected
    # A last global batch that cannot be shared evenly repeats at most world_size - 1 windows.
    assert len(set(seen)) == expected
    assert len(seen) - expected <= (world_size - 1) * 32


def test_targets_are_the_next_candles_tokens(features):
    dataset = WindowDataset(features[:1], context=16, spec=SPEC)
    batch = dataset.batch(np.array([[0, 10]]))
    np.testing.assert_array_equal(batch["tokens"][0], features[0].tokens[10:26])
    np.testing.assert_array_equal(batch["targets"][0], features[0].tokens[11:27])


def test_orders_differ_between_epochs_and_agree_for_a_seed(features):
    dataset = WindowDataset(features, context=32, spec=SPEC)
    first = next(dataset.epoch(8, seed=1, epoch=0))
    again = next(dataset.epoch(8, seed=1, epoch=0))
    other = next(dataset.epoch(8, seed=1, epoch=1))
    assert first["tokens"].equal(again["tokens"])
    assert not first["tokens"].equal(other["tokens"])


def test_a_part_counts_only_targets_dated_in_it(features):
    start, end = np.datetime64("2018-01-08", "ns"), np.datetime64("2019-01-01", "ns")
    dataset = WindowDataset(features, context=32, spec=SPEC, target_start=start, target_end=end)
    expected = sum(int(((one.time[1:] >= start) & (one.time[1:] < end)).sum()) for one in features)
    counted = sum(int(dataset.batch(dataset.windows(None))["mask"].sum()) for _ in range(1))
    assert dataset.num_targets == expected == counted


def test_padding_is_never_counted_and_has_no_horizon_target(features):
    dataset = WindowDataset(features[:1], context=32, spec=SPEC)
    batch = dataset.batch(np.array([[0, -20]]))
    assert batch["mask"][0].tolist() == [True] * 12 + [False] * 20
    assert batch["horizon_z"][0, 12:].isnan().all()


def test_no_target_in_the_part_is_an_error(features):
    with pytest.raises(DataError, match="no candle lies in this part"):
        WindowDataset(features, context=32, spec=SPEC, target_start=np.datetime64("2030-01-01", "ns"))


def _with_covariates(candles, rate, noise=0.0, groups=("volatility", "recurrence")):
    tokenizer = registry("tokenizer").create("ohlc").fit(candles)
    features = list(features_of_all(tokenizer, candles, HORIZONS, Covariates(groups)).values())
    spec = SPEC.model_copy(update={"covariates": groups, "num_continuous": features[0].continuous.shape[1]})
    disturb = DisturbConfig(withhold_rate=rate, market_noise=noise)
    return features, WindowDataset(features, context=32, spec=spec, disturb=disturb)


def test_what_is_unknown_ahead_is_withheld_to_the_end_of_some_windows(candles):
    _, kept = _with_covariates(candles, 0.0)
    _, thinned = _with_covariates(candles, 0.5)
    unknown = Covariates(("volatility", "recurrence")).unknown_ahead
    withheld = windows = 0
    for one, other in zip(kept.epoch(8, seed=1, epoch=0), thinned.epoch(8, seed=1, epoch=0), strict=True):
        whole, cut = one["continuous"], other["continuous"]
        own = whole.shape[-1] - len(unknown)
        assert (whole[..., :own] == cut[..., :own]).all()
        assert (whole[..., own:][..., ~unknown] == cut[..., own:][..., ~unknown]).all()
        differs = (whole != cut).any(dim=-1)
        # Once withheld, it stays so: generated candles never learn the market's state again.
        assert ((differs.long().diff(dim=1) >= 0) | (whole[:, 1:] == 0).all(dim=-1)).all()
        assert (cut[..., own:][..., unknown][differs] == 0).all()
        withheld, windows = withheld + int(differs.any(dim=1).sum()), windows + len(whole)
    assert 0.3 < withheld / windows < 0.7


def test_the_market_is_blurred_in_training_and_nothing_else_is():
    candles = make_candles(tuple("ABCDE"), num_candles=200)
    _, clear = _with_covariates(candles, 0.0, groups=("volatility", "market"))
    _, blurred = _with_covariates(candles, 0.0, noise=0.5, groups=("volatility", "market"))
    pairs = list(zip(clear.epoch(8, seed=1, epoch=0), blurred.epoch(8, seed=1, epoch=0), strict=True))
    noise = np.concatenate([(other["continuous"] - one["continuous"]).numpy() for one, other in pairs])
    market = Covariates(("volatility", "market")).columns("market")
    own = noise.shape[-1] - len(market)
    assert not noise[..., :own].any()
    assert not noise[..., own:][..., ~market].any()
    assert noise[..., own:][..., market].std() == pytest.approx(0.5, rel=0.05)
    # Half of it is the same over a window.
    assert noise[..., own:][..., market].mean(axis=1).std() == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_validation_withholds_nothing(candles):
    features, dataset = _with_covariates(candles, 1.0)
    batch = dataset.batch(dataset.windows(None)[:4])
    assert np.array_equal(batch["continuous"][0], features[0].continuous[:32])


def test_rows_carry_the_ids_of_their_asset(features):
    dataset = WindowDataset(features, context=32, spec=SPEC)
    windows = dataset.windows(None)
    batch = dataset.batch(windows)
    assert set(batch["asset"].tolist()) == {1, 2, 3}
    assert (batch["asset"].numpy() == windows[:, 0] + 1).all()
    stranger = SPEC.model_copy(update={"assets": ("AAA",), "categories": ()})
    batch = WindowDataset(features, context=32, spec=stranger).batch(windows)
    assert set(batch["asset"].tolist()) == {0, 1}
    assert not batch["category"].any()
