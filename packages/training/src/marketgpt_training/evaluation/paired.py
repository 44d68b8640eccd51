"""Two forecasters on the same candles and dates: is one better than chance would have it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.times import iso
from marketgpt_training.evaluation.bootstrap import (
    INTERVAL_LEVEL,
    DateBlocks,
    diebold_mariano,
    verdict,
)
from marketgpt_training.evaluation.scores import crps, realised
from marketgpt_training.splits import sessions

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]

# As in the token scores: a week is drawn together.
_TOKEN_BLOCK_DATES = 5
# Fewer blocks of dates than this say nothing of how blocks differ.
FEWEST_BLOCKS = 4


@dataclass(frozen=True)
class Dates:
    """When two forecasters are compared.

    Attributes:
        days: As-of dates, every ``every``-th session.
        every: Sessions between them.
    """

    days: Days
    every: int

    @classmethod
    def of(cls, candles: Candles, start: np.datetime64, end: np.datetime64, *, most: int) -> Dates:
        """Return at most about ``most`` sessions of ``[start, end)``, evenly spread.

        Raises:
            DataError: when there is none.
        """
        days = sessions(candles)
        days = days[(days >= start) & (days < end)]
        if not len(days):
            raise DataError(f"no session from {iso(start)} to {iso(end)} to compare forecasts on")
        every = max(1, -(-len(days) // most))
        return cls(days[::every], every)


def returns_compared(ours: Forecast, base: Forecast, candles: Candles, *, every: int) -> dict[str, Any]:
    """Compare CRPS, all horizons together and each: ratios below 1 mean that ours is better.

    Together: the mean over horizons of the CRPS, each horizon's in units of the base's mean, over pairs whose
    outcome is known at every horizon. Intervals draw dates in blocks as long as the longest horizon.

    Args:
        ours: N pairs.
        base: The same pairs and horizons.
        candles: What came; outcomes beyond them are unknown.
        every: Sessions between as-of dates.

    Returns:
        ``ratio``, ``low``, ``high``, ``verdict``, ``dm_p``, ``pairs``, ``dates``, ``blocks`` and
        ``horizons`` -> bars -> the same. Without four blocks of dates the verdict is ``undecided``.

    Raises:
        DataError: when no pair's outcome is known.
    """
    outcome = realised(base, candles)
    known = np.isfinite(outcome).all(axis=1)
    if not known.any():
        raise DataError("nothing to compare: no forecast horizon ends within the part")
    mine, theirs = (crps(one, outcome)[known] for one in (ours, base))
    dates = base.as_of[known]
    unit = theirs.mean(axis=0)
    longest = int(base.horizons.max())
    result = _compared((mine / unit).mean(axis=1), (theirs / unit).mean(axis=1), dates, longest, every)
    result["horizons"] = {
        str(int(h)): _compared(mine[:, column], theirs[:, column], dates, int(h), every)
        for column, h in enumerate(base.horizons)
    }
    return result


def _compared(mine: Floats, theirs: Floats, dates: Days, horizon: int, every: int) -> dict[str, Any]:
    blocks = DateBlocks(dates, block_dates=horizon // every + 1)
    ratio, low, high = blocks.ratio(mine, theirs)
    num_blocks = len(blocks.days) // blocks.block_dates
    return {
        "ratio": ratio,
        "low": low,
        "high": high,
        "verdict": verdict(low, high) if num_blocks >= FEWEST_BLOCKS else "undecided",
        "dm_p": diebold_mariano(mine, theirs, blocks)["dm_p"],
        "pairs": len(mine),
        "dates": len(blocks.days),
        "blocks": num_blocks,
    }


def candles_compared(
    ours: Forecaster,
    base: Forecaster,
    candles: Candles,
    symbols: Sequence[str],
    *,
    start: np.datetime64,
    end: np.datetime64,
) -> dict[str, Any] | None:
    """Compare the nats a candle; None where a forecaster scores no tokens, or they are not the same tokens.

    Returns:
        ``base`` and ``model`` (nats a candle), their ``difference`` (negative: ours is better) with ``low``,
        ``high``, ``verdict`` and ``dm_p``, and ``candles``.
    """
    scorers = [one.token_scores for one in (ours, base) if hasattr(one, "token_scores")]
    if len(scorers) < 2:  # noqa: PLR2004 - both, or nothing is compared
        return None
    told = [score(candles, start=start, end=end, symbols=symbols) for score in scorers]
    if told[0].tokens.shape != told[1].tokens.shape or (told[0].tokens != told[1].tokens).any():
        return None
    mine, theirs = (-np.asarray(one.log_prob, dtype=np.float64).sum(axis=1) for one in told)
    blocks = DateBlocks(told[0].time, block_dates=_TOKEN_BLOCK_DATES)
    difference, low, high = blocks.mean(mine - theirs)
    return {
        "base": float(theirs.mean()),
        "model": float(mine.mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "verdict": verdict(low, high, even=0.0),
        "dm_p": diebold_mariano(mine, theirs, blocks)["dm_p"],
        "candles": len(mine),
    }


def compare(
    ours: Forecaster,
    base: Forecaster,
    candles: Candles,
    symbols: Sequence[str],
    *,
    start: np.datetime64,
    end: np.datetime64,
    horizons: Sequence[int],
    num_samples: int,
    most_dates: int,
) -> dict[str, Any]:
    """Compare two forecasters as they are on some symbols from ``start`` to before ``end``.

    Args:
        ours: The one that may be better.
        base: The other.
        candles: History and outcomes of all symbols; outcomes beyond them are unknown.
        symbols: Which to compare on.
        start: First as-of date.
        end: First as-of date left out.
        horizons: Bars ahead.
        num_samples: Samples a forecast.
        most_dates: As-of dates at most.

    Returns:
        ``from``, ``to``, ``dates``, ``symbols``, ``interval_level``, ``crps`` and, where told, ``nll``.
    """
    dates = Dates.of(candles, start, end, most=most_dates)
    made = [
        one.forecast(
            candles, horizons=horizons, as_of=list(dates.days), symbols=symbols, num_samples=num_samples
        )
        for one in (ours, base)
    ]
    mine, theirs = (one.rows(one.as_of >= start) for one in made)
    return {
        "from": iso(dates.days[0]),
        "to": iso(dates.days[-1]),
        "dates": len(dates.days),
        "symbols": len(set(theirs.symbols)),
        "interval_level": INTERVAL_LEVEL,
        "crps": returns_compared(mine, theirs, candles, every=dates.every),
        "nll": candles_compared(ours, base, candles, symbols, start=start, end=end),
    }
