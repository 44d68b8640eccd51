"""Putting a trained run's spreads right on its validation part, before its test part is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from marketgpt_core.run import Run
from marketgpt_training.config import TrainConfig
from marketgpt_training.evaluation.scores import realised
from marketgpt_training.splits import sessions

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.clock import Clock
    from marketgpt_training.splits import Split

# Validation dates forecast from: beyond, overlapping horizons and markets that move together add little.
_MOST_DATES = 100
# And forecasts in all: symbols of a day move together, too.
_MOST_FORECASTS = 20_000


def recalibrate(
    run: Run,
    config: TrainConfig,
    candles: Candles,
    split: Split,
    *,
    symbols: Sequence[str] | None = None,
    clock: Clock | None = None,
) -> Run:
    """Forecast the validation part, fit the spreads, write ``forecaster.json`` and seal the run anew.

    The file also holds the options forecasts are made with by default. A forecaster that does not say what
    its forecasts are made of (a plugin's own) is left as it is.

    Args:
        run: Just trained.
        config: Its configuration.
        candles: All candles; those after the validation part are cut off here.
        split: Its borders.
        symbols: Whose spreads; None: of all. What the run knew of other markets' stays.
        clock: Tells when.
    """
    from marketgpt_models.forecaster import GPTForecaster, load_forecaster
    from marketgpt_models.forecaster_file import read_forecaster_file, write_forecaster_file
    from marketgpt_models.recalibration import ALL, Recalibration

    forecaster = load_forecaster(run.path, **config.evaluation.forecaster)
    if not isinstance(forecaster, GPTForecaster):
        return run
    # What was fitted before must not be fitted upon.
    forecaster.config = forecaster.config.model_copy(update={"recalibrate": False})
    seen = candles.between(None, split.validation_end)
    days = sessions(seen)
    days = days[days >= split.validation_start]
    dates = list(days[:: max(1, -(-len(days) // _MOST_DATES))])
    # One that begins after the validation part has nothing to say here.
    chosen = seen.symbols if symbols is None else tuple(one for one in symbols if one in seen)
    made = forecaster.forecast(
        seen,
        horizons=config.evaluation.horizons,
        as_of=dates,
        symbols=chosen[:: max(1, -(-len(chosen) * len(dates) // _MOST_FORECASTS))],
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
    _, known = read_forecaster_file(run)
    if symbols is not None and known is not None and known.mix == fitted.mix:
        own = {name: factors for name, factors in fitted.spreads.items() if name != ALL}
        fitted = replace(fitted, spreads={**known.spreads, **own})
    write_forecaster_file(run.path, config.evaluation.forecaster, fitted)
    return Run.seal(run.path, data_fingerprint=run.data_fingerprint, clock=clock)
