"""What calibration is worth: walk-forward, each date put right by what was known then. N samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_signals.backtest.bootstrap import bootstrap_interval
from marketgpt_signals.bands.coverage import FEWEST_BLOCKS, LEVEL
from marketgpt_signals.calibration.calibrator import CalibrationConfig, fit
from marketgpt_signals.calibration.samples import Samples

NUM_BINS = 10
_EDGE = 1e-6


@dataclass(frozen=True)
class Reliability:
    """How well probabilities meant what they said.

    Attributes:
        ece: Expected calibration error over ten bins of equal count: mean distance of stated and realised
            shares. Naeini, Cooper and Hauskrecht 2015; in a small sample it is above 0 by chance alone.
        brier: Mean squared error of P(up).
        log_loss: Mean negative log likelihood, nats.
    """

    ece: float
    brier: float
    log_loss: float


@dataclass(frozen=True)
class Comparison:
    """Before and after calibration, of one market and horizon, out of sample.

    Attributes:
        market: The market.
        horizon: Bars.
        num_samples: Samples judged: those whose as-of came after a curve could be fitted.
        num_dates: Their as-of dates.
        before: As forecast.
        after: Calibrated.
        brier_gain: Brier score before minus after; positive: calibration helped.
        gain_interval: Its 90% interval by blocks of dates; None with fewer than five blocks.
    """

    market: str
    horizon: int
    num_samples: int
    num_dates: int
    before: Reliability
    after: Reliability
    brier_gain: float
    gain_interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def reliability(p: NDArray[np.float64], up: NDArray[np.bool_], num_bins: int = NUM_BINS) -> Reliability:
    """Measure probabilities against outcomes; see :class:`Reliability`."""
    order = np.argsort(p, kind="stable")
    bins = np.array_split(order, min(num_bins, len(p)))
    ece = sum(len(rows) * abs(float(p[rows].mean()) - float(up[rows].mean())) for rows in bins) / len(p)
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return Reliability(
        float(ece),
        float(np.mean((p - up) ** 2)),
        float(-np.mean(np.where(up, np.log(clipped), np.log1p(-clipped)))),
    )


def walk_forward(
    samples: Samples, config: CalibrationConfig, *, refit_dates: int = 21
) -> NDArray[np.float64]:
    """Return P(up) of each sample, calibrated by outcomes known at its as-of; NaN before the first fit.

    Args:
        samples: N samples, oldest as-of first.
        config: How to fit.
        refit_dates: As-of dates between two fits.

    Returns:
        shape (N,); a sample that no curve reaches is NaN, too: it is no evidence.
    """
    result = np.full(len(samples), np.nan)
    dates = np.unique(samples.as_of)
    for start in range(0, len(dates), refit_dates):
        block = dates[start : start + refit_dates]
        # Fitted at the block's first as-of stamp, before that candle's own close.
        made = fit(samples, until=block[0], model_id="", config=config)
        mine = np.isin(samples.as_of, block)
        for group in made.groups:
            if group.weight:
                rows = mine & (samples.market == group.market) & (samples.horizon == group.horizon)
                result[rows] = made.probabilities(
                    samples.market[rows], samples.horizon[rows], samples.p_up[rows]
                )
    return result


def compare(
    samples: Samples,
    calibrated: NDArray[np.float64],
    *,
    num_resamples: int = 500,
    seed: int = 0,
) -> list[Comparison]:
    """Return before against after by market and horizon, on samples that were calibrated out of sample.

    Args:
        samples: N samples.
        calibrated: shape (N,): see :func:`walk_forward`.
        num_resamples: Of the interval.
        seed: Its seed.
    """
    found = []
    judged = ~np.isnan(calibrated)
    pairs = set(zip(samples.market[judged].tolist(), samples.horizon[judged].tolist(), strict=True))
    for market, horizon in sorted(pairs):
        rows = judged & (samples.market == market) & (samples.horizon == horizon)
        p, q, up = samples.p_up[rows], calibrated[rows], samples.up[rows]
        dates, place = np.unique(samples.as_of[rows], return_inverse=True)
        gains = (p - up) ** 2 - (q - up) ** 2
        totals = np.stack([np.bincount(place, weights=gains), np.bincount(place).astype(float)], axis=1)
        span = np.median(samples.known_at[rows] - samples.as_of[rows])
        step = np.median(np.diff(dates)) if len(dates) > 1 else span
        block = max(1.0, float(span / step), len(dates) ** (1 / 3))
        interval = None
        if len(dates) >= FEWEST_BLOCKS * block:
            interval = bootstrap_interval(
                totals,
                lambda drawn: float(drawn[:, 0].sum() / drawn[:, 1].sum()),
                mean_block=block,
                num_resamples=num_resamples,
                level=LEVEL,
                seed=seed,
            )
        found.append(
            Comparison(
                market, horizon, len(p), len(dates), reliability(p, up), reliability(q, up),
                float(gains.mean()), interval,
            )
        )  # fmt: skip
    return found
