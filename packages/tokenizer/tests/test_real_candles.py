"""Real candles, where they are at hand: they have the gaps, ties and jumps that no law of ours has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core import Candles
from marketgpt_tokenizer import OHLCTokenizer

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real candles at {DATA}")


@pytest.fixture(scope="module", params=["crypto", "fx", "index", "commodity"])
def candles(request: pytest.FixtureRequest) -> Candles:
    pytest.importorskip("pyarrow", reason="pyarrow is an extra of this package")
    return Candles.from_frame(pd.read_parquet(DATA / f"{request.param}.parquet"))


@pytest.fixture(scope="module")
def fitted(candles: Candles) -> OHLCTokenizer:
    return OHLCTokenizer().fit(candles)


def test_tokens_of_the_training_part_are_near_uniform(fitted: OHLCTokenizer, candles: Candles) -> None:
    tokens = np.concatenate([fitted.encode(series).tokens for series in candles.values()])
    for channel, (bins, expected) in enumerate(zip(fitted.bins, (64, 64, 32, 32), strict=True)):
        share = np.bincount(tokens[:, channel], minlength=len(bins)) / len(tokens)
        inner = np.delete(share, bins.atom)[4 if bins.atom else 0 : -4]
        even = (1.0 - share[bins.atom]) / expected
        assert inner == pytest.approx(np.full(len(inner), even), rel=0.05)
        assert share[[0, -1]].max() < 0.25


def test_every_value_stays_within_its_bin(fitted: OHLCTokenizer, candles: Candles) -> None:
    for series in candles.values():
        rows = fitted.encode(series)
        decoded = fitted.values(rows.tokens)
        for channel, bins in enumerate(fitted.bins):
            low, high = (ends[rows.tokens[:, channel]] for ends in bins.bounds(20.0))
            error = np.abs(decoded[:, channel] - rows.channels[:, channel].astype(np.float64))
            assert (error <= high - low + 1e-5).all()


def test_sigma_is_in_scale(fitted: OHLCTokenizer, candles: Candles) -> None:
    """Close-to-close returns over sigma have a spread near one: neither starved nor swollen."""
    rows = [fitted.encode(series) for series in candles.values()]
    scaled = np.concatenate([one.channels[:, 0] + one.channels[:, 1] for one in rows])
    assert 0.8 < scaled.std() < 1.15
    assert max(np.abs(one.channels).max() for one in rows) <= 20.0


def test_the_law_inside_bins_keeps_the_spread(fitted: OHLCTokenizer, candles: Candles) -> None:
    rows = [fitted.encode(series) for series in candles.values()]
    tokens = np.concatenate([one.tokens for one in rows])
    channels = np.concatenate([one.channels for one in rows]).astype(np.float64)
    drawn = fitted.values(tokens, np.random.default_rng(0).random(tokens.shape))
    assert drawn.std(axis=0) == pytest.approx(channels.std(axis=0), rel=0.03)


def test_volume_surprises_are_in_scale(candles: Candles) -> None:
    """Fitted on the first half, the second half's surprises have a spread near one."""
    middle = candles.start + (candles.end - candles.start) / 2  # type: ignore[operator]
    training = candles.between(None, middle)
    fitted = OHLCTokenizer(OHLCTokenizer.Config(volume_bins=32)).fit(training)
    atom = fitted.bins[-1].atom
    rows = [(fitted.encode(one), one.volume[1:]) for one in candles.values()]
    tokens, values = (
        np.concatenate([getattr(row, name)[:, -1] for row, _ in rows]) for name in ("tokens", "channels")
    )
    supplied = np.concatenate([volume for _, volume in rows]) > 0
    assert (tokens[~supplied] == atom).all()
    if not any(one.volume.any() for one in training.values()):
        # fx never has a volume, the futures only later on: a channel of one token is all that was seen.
        assert fitted.vocab_sizes[-1] == 1
        return
    # But for each symbol's first volume, which has nothing to be compared with.
    assert (tokens[supplied] == atom).sum() <= len(candles)
    later = np.concatenate([row.time >= middle for row, _ in rows]) & supplied & (tokens != atom)
    assert 0.8 < values[later].std() < 1.25
