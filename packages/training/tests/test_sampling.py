from __future__ import annotations

import numpy as np
import pytest

from marketgpt_training.sampling import Balanced, Replayed

CATEGORIES = np.array(["us"] * 90 + ["fx"] * 10)


def test_replay_takes_all_of_the_market_and_a_share_of_the_others_without_doubles():
    sampling = Replayed("fx", 0.2)
    chosen = sampling.choose(CATEGORIES, np.random.default_rng(0))
    assert sorted(chosen[chosen >= 90]) == list(range(90, 100))
    assert len(chosen) == len(set(chosen.tolist())) == 12
    assert sampling.size({"us": 90, "fx": 10}) == 12
    again = sampling.choose(CATEGORIES, np.random.default_rng(1))
    assert set(again.tolist()) != set(chosen.tolist())


def test_without_replay_only_the_market_is_taken():
    chosen = Replayed("fx", 0.0).choose(CATEGORIES, np.random.default_rng(0))
    assert sorted(chosen) == list(range(90, 100))


def test_replay_takes_no_more_than_there_is():
    assert len(Replayed("us", 0.9).choose(CATEGORIES, np.random.default_rng(0))) == 100
    assert Replayed("us", 0.9).size({"us": 90, "fx": 10}) == 100


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_a_balanced_epoch_is_never_longer_than_promised(balance):
    sampling = Balanced(balance)
    chosen = sampling.choose(CATEGORIES, np.random.default_rng(0))
    assert len(chosen) <= sampling.size({"us": 90, "fx": 10})
