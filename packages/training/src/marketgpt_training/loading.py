"""The candles a configuration names."""

from __future__ import annotations

import logging

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.universe import open_universe
from marketgpt_training.config import DataConfig, TrainConfig

logger = logging.getLogger(__name__)


def load_candles(config: TrainConfig) -> Candles:
    """Load the candles a configuration names.

    Raises:
        DataError: when the source has none of a universe's symbols, or what it has cannot be read.
    """
    from marketgpt_data_sources import load_candles as load

    data = with_symbols(config).data
    return load(
        data.source,
        symbols=data.symbols or None,
        start=data.start,
        end=data.end,
        interval=data.interval,
    )


def with_symbols(config: TrainConfig) -> TrainConfig:
    """Return the configuration with the symbols its universe stands for: what a run is resolved to.

    Raises:
        DataError: when the source has none of them.
    """
    data = config.data
    if data.universe is None or data.symbols:
        return config
    symbols = _symbols_of(data, data.universe)
    return config.model_copy(update={"data": data.model_copy(update={"symbols": symbols})})


def _symbols_of(data: DataConfig, name: str) -> tuple[str, ...]:
    """Return a universe's symbols the source has; all of them where it cannot tell what it has."""
    from marketgpt_data_sources import open_source

    wanted = open_universe(name).symbols
    known = set(open_source(data.source).symbols(data.interval))
    found = tuple(symbol for symbol in wanted if symbol in known or not known)
    if not found:
        raise DataError(f"source {data.source!r} has none of the {len(wanted)} symbols of universe {name}")
    if len(found) < len(wanted):
        absent = [symbol for symbol in wanted if symbol not in known]
        logger.warning(
            "source %r has %d of the %d symbols of universe %s; absent: %s%s",
            data.source, len(found), len(wanted), name, ", ".join(absent[:5]),
            " ..." if len(absent) > 5 else "",  # noqa: PLR2004 - a taste of them
        )  # fmt: skip
    return found
