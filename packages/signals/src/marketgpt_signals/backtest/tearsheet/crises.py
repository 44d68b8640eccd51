"""How a backtest did in the market's known bad times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketgpt_signals.backtest.tearsheet.numbers import Floats, Times, underwater


@dataclass(frozen=True)
class Crisis:
    """A window of stress.

    Attributes:
        name: What it is called.
        peak, trough: Dates of the S&P 500's closing high before the fall and of its closing low.
        fall: The index's return between the two closes, without dividends.
    """

    name: str
    peak: str
    trough: str
    fall: float


# Closing highs and lows of the S&P 500 price index (S&P Dow Jones Indices). Chosen looking back: everybody
# knows now when it would have been good to be out.
CRISES = (
    Crisis("2008 financial crisis", "2007-10-09", "2009-03-09", -0.568),
    Crisis("2011 US downgrade, euro debt", "2011-04-29", "2011-10-03", -0.194),
    Crisis("2015-16 China, oil", "2015-05-21", "2016-02-11", -0.142),
    Crisis("2018 fourth quarter", "2018-09-20", "2018-12-24", -0.198),
    Crisis("2020 Covid crash", "2020-02-19", "2020-03-23", -0.339),
    Crisis("2022 inflation, rates", "2022-01-03", "2022-10-12", -0.254),
)


@dataclass(frozen=True)
class Stress:
    """What two curves did in a window.

    Attributes:
        crisis: The window.
        strategy, hold: Return from the last close up to the peak's date to the last up to the trough's;
            None after ruin.
        strategy_drawdown, hold_drawdown: Largest fall from a peak in between, as a positive fraction.
    """

    crisis: Crisis
    strategy: float | None
    hold: float | None
    strategy_drawdown: float | None
    hold_drawdown: float | None


def stresses(time: Times, strategy: Floats, hold: Floats) -> tuple[list[Stress], list[Crisis]]:
    """Measure two equity curves in every crisis that lies inside the test.

    Returns:
        (those inside, those the test holds only a part of, which are not measured).
    """
    days = time.astype("datetime64[D]")
    inside, cut = [], []
    for crisis in CRISES:
        peak, trough = np.datetime64(crisis.peak), np.datetime64(crisis.trough)
        if days[0] <= peak and trough <= days[-1]:
            first, last = (int(np.searchsorted(days, day, side="right")) - 1 for day in (peak, trough))
            ours, theirs = (_window(curve[first : last + 1]) for curve in (strategy, hold))
            inside.append(Stress(crisis, ours[0], theirs[0], ours[1], theirs[1]))
        elif peak <= days[-1] and days[0] <= trough:
            cut.append(crisis)
    return inside, cut


def _window(curve: Floats) -> tuple[float | None, float | None]:
    if curve[0] <= 0:
        return None, None
    return float(curve[-1] / curve[0] - 1), float(-underwater(curve).min())
