from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_candles
from marketgpt_training.config import SplitConfig
from marketgpt_training.splits import split_dates


def test_embargo_counts_sessions_of_all_symbols(candles):
    config = SplitConfig(train_until="2018-01-01", validation_until="2019-01-01", embargo_bars=5)
    split = split_dates(config, candles)
    assert split.train_end == np.datetime64("2018-01-01")
    # 2018-01-01 is a Monday and the walk has a candle on it: five sessions later is the next Monday.
    assert split.validation_start == np.datetime64("2018-01-08")
    assert split.test_start == np.datetime64("2019-01-08")


@pytest.mark.parametrize(
    ("train_until", "validation_until", "part"),
    [
        ("2001-01-01", "2019-01-01", "train"),
        ("2018-01-01", "2018-01-03", "validation"),
        ("2018-01-01", "2030-01-01", "test"),
    ],
)
def test_an_empty_part_is_named_with_the_range_of_the_data(train_until, validation_until, part):
    config = SplitConfig(train_until=train_until, validation_until=validation_until, embargo_bars=5)
    with pytest.raises(DataError, match=f"the {part} part is empty: the data run 2015-01-01"):
        split_dates(config, make_candles(num_candles=1_400))
