import numpy as np
import pytest
import torch

from marketgpt_core.errors import DataError
from marketgpt_models import load_forecaster
from marketgpt_models.scoring import BinDensity


@pytest.fixture(scope="module")
def forecaster(write_run, tmp_path_factory):
    return load_forecaster(write_run(tmp_path_factory.mktemp("scored") / "run").path)


def test_every_candle_of_the_range_is_scored_once(forecaster, candles):
    start, end = candles["AAA"].time[40], candles["AAA"].time[120]
    scores = forecaster.token_scores(candles, start=start, end=end)
    for number, symbol in enumerate(scores.symbols):
        mine = scores.symbol_index == number
        assert np.array_equal(scores.time[mine], candles[symbol].time[40:120])
    assert scores.log_prob.shape == scores.top1.shape == scores.log_width.shape == scores.tokens.shape
    assert (scores.log_prob < 0).all()


def test_tokens_and_their_predecessors_are_the_tokenizers(forecaster, tokenizer, candles):
    scores = forecaster.token_scores(candles)
    encoded = tokenizer.encode(candles["BBB"])
    mine = scores.symbol_index == scores.symbols.index("BBB")
    first = int(np.searchsorted(encoded.time, scores.time[mine][0]))
    assert first == forecaster.context // 2
    assert np.array_equal(scores.tokens[mine], encoded.tokens[first:])
    assert np.array_equal(scores.previous[mine], encoded.tokens[first - 1 : -1])


def test_probabilities_are_the_modules_own(forecaster, tokenizer, candles):
    """The last target of the first window, scored by hand from that window alone."""
    scores = forecaster.token_scores(candles)
    features = next(iter(_features(forecaster, candles)))
    n = forecaster.context
    batch = {
        name: torch.from_numpy(getattr(features, name)[: n - 1])[None]
        for name in ("tokens", "continuous", "calendar")
    }
    batch["targets"] = torch.from_numpy(features.tokens[1:n])[None]
    batch |= {name: torch.zeros(1, dtype=torch.int64) for name in ("asset", "category")}
    with torch.no_grad():
        logits = forecaster.module.token_logits(batch)
    said = [
        float(one[0, -1].log_softmax(-1)[target])
        for one, target in zip(logits, features.tokens[n - 1], strict=True)
    ]
    row = int(np.flatnonzero((scores.symbol_index == 0) & (scores.time == features.time[n - 1]))[0])
    np.testing.assert_allclose(scores.log_prob[row], said, atol=1e-5)


def _features(forecaster, candles):
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import features_of_all

    return features_of_all(forecaster.tokenizer, candles, (), Covariates(())).values()


def test_later_candles_change_no_score(forecaster, candles):
    from dataclasses import replace

    from marketgpt_core.candles import Candles

    cut = candles["AAA"].time[100]
    changed = Candles(
        replace(
            one,
            **{
                name: np.where(one.time < cut, getattr(one, name), 3.0 * getattr(one, name))
                for name in ("open", "high", "low", "close")
            },
        )
        for one in candles.values()
    )
    before, after = (forecaster.token_scores(some, end=cut) for some in (candles, changed))
    assert np.array_equal(before.log_prob, after.log_prob)
    assert np.array_equal(before.log_width, after.log_width, equal_nan=True)


def test_the_density_of_a_bin_integrates_to_one(tokenizer):
    density = BinDensity(tokenizer)
    knots = density._knots[1]
    token = len(knots) // 2 + 1
    values = np.linspace(knots[token - 1, 0] - 0.5, knots[token + 1, -1] + 0.5, 400_001)
    tokens = np.zeros((len(values), 4), dtype=np.int64)
    tokens[:, 1] = token
    columns = np.zeros((len(values), 4))
    columns[:, 1] = values
    sigma = np.full(len(values), 0.02)
    width = density.log_width(tokens, columns, sigma)[:, 1]
    inside = (values >= knots[token - 1, -1]) & (values <= knots[token + 1, 0])
    # In units of log return a step is sigma times as long.
    mass = np.exp(-width[inside]).sum() * (values[1] - values[0]) * 0.02
    assert mass == pytest.approx(1.0, abs=0.01)


def test_an_atom_has_no_density(tokenizer):
    density = BinDensity(tokenizer)
    atom = tokenizer.bins[1].atom
    tokens, values = np.zeros((1, 4), dtype=np.int64), np.zeros((1, 4))
    tokens[0, 1] = atom
    assert np.isnan(density.log_width(tokens, values, np.ones(1))[0, 1])


def test_a_range_without_candles_is_refused(forecaster, candles):
    with pytest.raises(DataError, match="no candle with half a context"):
        forecaster.token_scores(candles, start="2090-01-01")
