"""Does a forecast rank the symbols of a date?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from marketgpt_training.evaluation.bootstrap import newey_west_lags, newey_west_t
from marketgpt_training.evaluation.pairs import Pairs

FEWEST_SYMBOLS = 20


def rank_ic(expected: NDArray[np.float64], pairs: Pairs) -> dict[str, Any] | None:
    """Return the mean over dates of Spearman's correlation between forecast mean and outcome, with its t.

    Dates with fewer than 20 symbols, or on which every forecast is the same, are left out; None when none is
    left. The t is Newey and West's, so that overlapping horizons do not count twice.

    Args:
        expected: Forecast means, shape (N,).
        pairs: What came.
    """
    order = np.argsort(pairs.blocks.index, kind="stable")
    starts = np.cumsum(np.bincount(pairs.blocks.index))[:-1]
    values = []
    for mine in np.split(order, starts):
        said, came = expected[mine], pairs.outcome[mine]
        if len(mine) >= FEWEST_SYMBOLS and np.ptp(said) > 0 and np.ptp(came) > 0:
            values.append(float(np.corrcoef(rankdata(said), rankdata(came))[0, 1]))
    if not values:
        return None
    series = np.array(values)
    mean, statistic = newey_west_t(series, newey_west_lags(len(series), pairs.blocks.block_dates))
    return {
        "mean": mean,
        "t": statistic if np.isfinite(statistic) else None,
        "dates": len(values),
        "symbols_a_date": len(pairs) / len(pairs.blocks.days),
    }
