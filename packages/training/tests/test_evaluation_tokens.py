from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_training.evaluation.tokens import TokenLaws, token_section

SIZES = (3, 2)


@dataclass
class Scores:
    channel_names: tuple[str, ...]
    vocab_sizes: tuple[int, ...]
    log_prob: np.ndarray
    top1: np.ndarray
    log_density: np.ndarray
    tokens: np.ndarray
    previous: np.ndarray
    time: np.ndarray
    symbol_index: np.ndarray


def chain(num, seed):
    """Channel 0 mostly repeats itself; channel 1 is a coin."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((num, 2), dtype=np.int16)
    for t in range(1, num):
        tokens[t, 0] = tokens[t - 1, 0] if rng.random() < 0.7 else rng.integers(3)
    tokens[:, 1] = rng.integers(2, size=num)
    return tokens


class Scorer:
    """Says the truth of channel 0, or something else."""

    def __init__(self, tokens, log_prob, density=None):
        self._tokens, self._log_prob, self._density = tokens, log_prob, density

    def token_scores(self, candles, *, start, end):
        tokens, n = self._tokens, len(self._tokens) - 1
        days = np.datetime64("2015-01-01", "ns") + np.arange(n).astype("timedelta64[D]")
        return Scores(
            channel_names=("body", "up"), vocab_sizes=SIZES, log_prob=self._log_prob,
            top1=self._log_prob > np.log(0.5),
            log_density=self._log_prob if self._density is None else self._density,
            tokens=tokens[1:], previous=tokens[:-1], time=days, symbol_index=np.zeros(n, dtype=int),
        )  # fmt: skip


def truth(tokens):
    same = tokens[1:, 0] == tokens[:-1, 0]
    return np.stack([np.log(np.where(same, 0.8, 0.1)), np.full(len(same), np.log(0.5))], axis=1)


def section(scorer, laws):
    return token_section(scorer, None, start=None, end=None, laws=lambda: laws, seed=0)


@pytest.fixture(scope="module")
def laws():
    return TokenLaws.fit([chain(20_000, 1), chain(20_000, 2)], SIZES)


def test_laws_are_laws_and_find_the_chain(laws):
    for table in (*laws.unigram, *laws.bigram):
        np.testing.assert_allclose(np.exp(table).sum(axis=-1), 1)
    np.testing.assert_allclose(np.exp(laws.bigram[0]), np.full((3, 3), 0.1) + 0.7 * np.eye(3), atol=0.02)
    np.testing.assert_allclose(np.exp(laws.unigram[0]), 1 / 3, atol=0.03)
    assert laws.num_candles == 40_000


def test_a_pair_never_seen_is_possible_and_pairs_never_cross_symbols():
    laws = TokenLaws.fit([np.array([[0, 0], [0, 0]]), np.array([[2, 1], [2, 1]])], SIZES)
    assert np.isfinite(laws.bigram[0]).all()
    # 0 was followed by 0 once; 0 then 2 would only come from joining the two sequences.
    assert laws.bigram[0][0, 2] == pytest.approx(np.log((3 * 3 / 7) / (1 + 3)))
    with pytest.raises(DataError, match="no two consecutive candles"):
        TokenLaws.fit([np.array([[0, 0]])], SIZES)


def test_the_truth_ties_with_bigram_and_beats_unigram_and_uniform(laws):
    tokens = chain(4_000, 9)
    found = section(Scorer(tokens, truth(tokens)), laws)
    entropy = found["cross_entropy"]
    assert entropy["model"]["body"] == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.1)), abs=0.03)
    assert entropy["bigram"]["total"] == pytest.approx(entropy["model"]["total"], abs=0.01)
    assert entropy["uniform"]["total"] == pytest.approx(np.log(6))
    assert found["against"]["unigram"]["verdict"] == found["against"]["uniform"]["verdict"] == "better"
    assert found["top1"]["bigram"]["body"] == pytest.approx(0.8, abs=0.03)
    assert found["top1"]["uniform"] == {
        "total": pytest.approx(5 / 12),
        "body": pytest.approx(1 / 3),
        "up": 0.5,
    }


def test_a_model_that_lost_the_order_of_time_is_said_to_lose(laws):
    tokens = chain(4_000, 9)
    shuffled = np.random.default_rng(0).permutation(truth(tokens))
    assert section(Scorer(tokens, shuffled - 0.2), laws)["against"]["bigram"]["verdict"] == "worse"


def test_density_is_the_mean_over_candles_of_the_sum_over_channels(laws):
    tokens = chain(1_001, 4)
    density = truth(tokens) - np.log(0.02)
    found = section(Scorer(tokens, truth(tokens), density), laws)["density"]
    assert found["nats_a_candle"] == pytest.approx(-density.sum(axis=1).mean())
    assert found["low"] < found["nats_a_candle"] < found["high"]
    assert sum(found["channels"].values()) == pytest.approx(found["nats_a_candle"])


def test_without_a_scorer_or_a_candle_nothing_is_said(laws):
    assert section(object(), laws) == {}
    tokens = chain(1, 0)
    assert section(Scorer(tokens, np.zeros((0, 2))), laws) == {}


def test_without_a_training_part_only_uniform_stands_beside(laws):
    tokens = chain(500, 3)
    found = section(Scorer(tokens, truth(tokens)), None)
    assert set(found["against"]) == {"uniform"}
    assert found["training_candles"] is None
