"""The same curves as a page of quantstats, for those who know its numbers; needs the extra of that name."""

from __future__ import annotations

import html
import logging
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.files import write_text
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.backtest.tearsheet.numbers import bars_per_year

_FEWEST_RETURNS = 30
_ICON = re.compile(r"<link[^>]*rel=[\"']shortcut icon[\"'][^>]*>")


def write_quantstats(path: Path, result: BacktestResult, title: str) -> Path:
    """Write the page quantstats makes of a backtest: daily returns net of costs, against buy and hold.

    Bars within a day are compounded to the day. The page's link to an icon on the network is taken out.

    Args:
        path: The HTML file.
        result: The backtest.
        title: Of the page; may be anything.

    Raises:
        ConfigError: when quantstats is not installed.
        DataError: when there are too few returns for its numbers, or none that moved.
        RunError: when the file cannot be written.
    """
    ours, theirs = (_daily(result, curve) for curve in (result.equity, result.benchmark))
    if len(ours) < _FEWEST_RETURNS or not ours.std() > 0:
        raise DataError(
            f"quantstats needs at least {_FEWEST_RETURNS} daily returns that move, the backtest has "
            f"{int((ours != 0).sum())} of {len(ours)}"
        )
    a_year = bars_per_year(ours.index.to_numpy()) or 0.0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # It and seaborn use what pandas and matplotlib will drop; that is theirs to mend.
        warnings.simplefilter("ignore")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        try:
            import quantstats
        except ImportError as error:
            raise ConfigError(
                "a page of quantstats needs it: pip install 'marketgpt-signals[quantstats]'"
            ) from error
        made = Path(folder) / "page.html"
        quantstats.reports.html(
            ours,
            benchmark=theirs,
            rf=0.0,
            title=html.escape(title),
            output=str(made),
            periods_per_year=round(a_year),
            match_dates=False,
        )
        return write_text(path, _ICON.sub("", made.read_text(encoding="utf-8")))


def _daily(result: BacktestResult, curve: np.ndarray) -> pd.Series:
    equity = pd.Series(curve, name="strategy")
    by_day = equity.groupby(result.time.astype("datetime64[D]")).last()
    alive = by_day[by_day.shift(1, fill_value=1.0) > 0]
    return alive.pct_change().dropna()
