"""Putting a trained run's spreads right on its validation part, before its test part is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from marketgpt_core.run import Run
from marketgpt_training.config import TrainConfig
from marketgpt_training.evaluation.scores import realised

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.clock import Clock
    from marketgpt_training.splits import Split

# Validation dates forecast from: beyond, overlapping horizons and markets that move together add little.
_MOST_DATES = 100
# And forecasts in all: symbols of a day move together, too.
_MOST_FORECASTS = 20_000


def recalibrate(
    run: Run, config: TrainConfig, candles: Candles, split: Split, *, clock: Clock | None = None
) -> Run:
    """Forecast the validation part, fit the spreads, write ``forecaster.json`` and seal the run anew.

    The file also holds the options forecasts are made with by default. A forecaster that does not say what
    its forecasts are made of (a plugin's own) is left as it is.

    Args:
        run: Just trained.
        config: Its configuration.
        candles: All candles; those after the validation part are cut off here.
        split: Its borders.
        clock: Tells when.
    """
    from marketgpt_models.forecaster import GPTForecaster, load_forecaster
    from marketgpt_models.forecaster_file import write_forecaster_file
    from marketgpt_models.recalibration import Recalibration

    forecaster = load_forecaster(run.path, **config.evaluation.forecaster)
    if not isinstance(forecaster, GPTForecaster):
        return run
    seen = candles.between(None, split.validation_end)
    days = np.unique(np.concatenate([one.time for one in seen.values()]))
    days = days[days >= split.validation_start]
    dates = list(days[:: max(1, -(-len(days) // _MOST_DATES))])
    made = forecaster.forecast(
        seen,
        horizons=config.evaluation.horizons,
        as_of=dates,
        symbols=seen.symbols[:: max(1, -(-len(seen) * len(dates) // _MOST_FORECASTS))],
        num_samples=config.evaluation.num_samples,
    )
    # A symbol silent for the whole part still has a last candle, from before it.
    made = made.rows(made.as_of >= split.validation_start)
    fitted = Recalibration.fit(
        made,
        realised(made, seen),
        [str(seen[symbol].category) for symbol in made.symbols],
        mix=forecaster.config.mix,
    )
    write_forecaster_file(run.path, config.evaluation.forecaster, fitted)
    return Run.seal(run.path, data_fingerprint=run.data_fingerprint, clock=clock)
