import numpy as np
import pytest

from marketgpt_core.symbols import Category
from marketgpt_models.calendar import DAY, calendar_after
from marketgpt_models.features import features_of
from marketgpt_models.prefix import calendars_ahead, row_seed, stamps_ahead, windows_of


@pytest.fixture(scope="module")
def features(candles, tokenizer):
    return [features_of(tokenizer.encode(one), ()) for one in candles.values()]


def test_windows_end_at_the_row_asked_for(features):
    cut = windows_of(features, np.array([1, 0, 2]), np.array([50, 20, 158]), 8)
    assert cut["valid"].all()
    for row, (series, last) in enumerate([(1, 50), (0, 20), (2, 158)]):
        for name in ("tokens", "continuous", "calendar"):
            expected = getattr(features[series], name)[last - 7 : last + 1]
            assert np.array_equal(cut[name][row], expected), name


def test_short_histories_are_padded_on_the_left(features):
    cut = windows_of(features, np.array([1]), np.array([2]), 8)
    assert cut["valid"][0].tolist() == [False] * 5 + [True] * 3
    assert not cut["continuous"][0, :5].any()
    assert np.array_equal(cut["tokens"][0, 5:], features[1].tokens[:3])


@pytest.mark.parametrize("category", [Category.US, Category.CRYPTO])
def test_calendars_ahead_are_what_a_series_without_closures_has(category):
    """Where the market keeps to the rule, generated candles get the calendar real ones would have."""
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    days = days if category is Category.CRYPTO else days[np.is_busday(days)]
    time = days.astype("datetime64[ns]")
    real = calendar_after(time, category)
    stamps = stamps_ahead(time[9:11], category, DAY, 12)
    assert np.array_equal(stamps, [time[10:23], time[11:24]])
    ahead = calendars_ahead(time[9:11], stamps, category)
    assert np.array_equal(ahead[0], real[10:22])
    assert np.array_equal(ahead[1], real[11:23])


def test_rows_have_seeds_of_their_own():
    day, other = np.datetime64("2024-01-02"), np.datetime64("2024-01-03")
    seeds = {row_seed(0, "A", day), row_seed(1, "A", day), row_seed(0, "B", day), row_seed(0, "A", other)}
    assert len(seeds) == 4
    assert row_seed(0, "A", day) == row_seed(0, "A", day.astype("datetime64[ns]"))
    assert all(0 <= seed < 2**62 for seed in seeds)
