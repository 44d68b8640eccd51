import numpy as np
import pytest
import torch

from marketgpt_core.errors import DataError
from marketgpt_models import load_forecaster
from marketgpt_models.scoring import BinDensity, _even_span


@pytest.fixture(scope="module")
def forecaster(write_run, tmp_path_factory):
    return load_forecaster(write_run(tmp_path_factory.mktemp("scored") / "run").path)


def test_every_candle_of_the_range_is_scored_once(forecaster, candles):
    start, end = candles["AAA"].time[40], candles["AAA"].time[120]
    scores = forecaster.token_scores(candles, start=start, end=end)
    for number, symbol in enumerate(scores.symbols):
        mine = scores.symbol_index == number
        assert np.array_equal(scores.time[mine], candles[symbol].time[40:120])
    assert scores.log_prob.shape == scores.top1.shape == scores.log_density.shape == scores.tokens.shape
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
    assert np.array_equal(before.log_density, after.log_density)


@pytest.mark.parametrize("channel", range(4))
def test_mass_near_zero_and_density_elsewhere_are_one(tokenizer, channel):
    density, knots = BinDensity(tokenizer), BinDensity(tokenizer)._knots[channel]
    near, atom = density.near_zero(channel), tokenizer.bins[channel].atom
    assert near[atom] == 1.0
    assert ((near >= 0) & (near <= 1)).all()
    for token in {abs(atom - 1), atom + 1, len(knots) - 1}:
        values = np.linspace(knots[token, 0] - 1.0, knots[token, -1] + 1.0, 800_001)
        tokens, columns = np.zeros((len(values), 4), dtype=np.int64), np.zeros((len(values), 4))
        tokens[:, channel], columns[:, channel] = token, values
        log_density = density.log_density(tokens, columns, np.full(len(values), 0.02))[:, channel]
        low, high = _even_span(knots)
        held = (values >= low[token]) & (values <= high[token]) & np.isfinite(log_density)
        # In units of log return a step is sigma times as long.
        outside = np.exp(log_density[held]).sum() * (values[1] - values[0]) * 0.02
        assert outside + near[token] == pytest.approx(1.0, abs=0.01)


def test_a_move_next_to_zero_is_one_event_whatever_token_it_got(forecaster, tokenizer, candles):
    """Prices flat to rounding and exactly flat: other tokens, the same event, and no spike of density."""
    from dataclasses import replace

    from marketgpt_core.candles import Candles

    one, row = candles["AAA"], 100
    told = []
    for wobble in (0.0, 1e-9):
        columns = {name: getattr(one, name).copy() for name in ("open", "high", "low", "close")}
        flat = columns["close"][row - 1]
        columns["open"][row] = flat
        columns["close"][row] = flat * (1 + wobble)
        columns["high"][row], columns["low"][row] = 1.01 * flat, 0.99 * flat
        known = Candles([replace(one, **columns)])
        told.append(forecaster.token_scores(known, start=one.time[row], end=one.time[row + 1]))
    body = tokenizer.channel_names.index("body")
    assert told[0].tokens[0, body] != told[1].tokens[0, body]
    assert told[0].log_density[0, body] == pytest.approx(told[1].log_density[0, body], abs=1e-5)


def test_a_range_without_candles_is_refused(forecaster, candles):
    with pytest.raises(DataError, match="no candle with half a context"):
        forecaster.token_scores(candles, start="2090-01-01")
