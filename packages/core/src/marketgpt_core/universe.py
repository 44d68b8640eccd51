"""Universes: which instruments a model is trained on, and what each market is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from marketgpt_core.errors import ConfigError, DataError, PluginError
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.plugins.registry import registry
from marketgpt_core.symbols import Category, check_symbol

_OF_A_FILE = "file"  # the provider that wants a path, and is no universe by itself


@dataclass(frozen=True)
class Instrument:
    """Something that is traded.

    Attributes:
        symbol: Yahoo-style symbol.
        category: Market it belongs to.
        exchange: Market identifier code (ISO 10383), or ``24/7``, ``24/5``.
        currency: What its prices are quoted in.
        calendar: See :func:`marketgpt_core.calendars.trading_calendar`.
    """

    symbol: str
    category: Category
    exchange: str
    currency: str
    calendar: str

    @classmethod
    def of(cls, symbol: str, category: Category) -> Instrument:
        """Return the instrument as the shape of its symbol says; see :func:`exchange_of`."""
        home = exchange_of(symbol, category)
        return cls(symbol, category, home.name, home.currency, home.calendar)


@dataclass(frozen=True)
class Universe:
    """A named list of instruments.

    Attributes:
        name: What a user writes.
        about: One line.
        instruments: Each symbol once.
        benchmark: Symbol its market is measured against; need not be one of the instruments. None for a
            universe of several markets.
        as_of: When the list was drawn up. Who trains on years before it trains on survivors.
        notes: What else one should know of the list; may have several lines.
    """

    name: str
    about: str
    instruments: tuple[Instrument, ...]
    benchmark: str | None = None
    as_of: date | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for one in self.instruments:
            check_symbol(one.symbol, where=f"universe {self.name}")
            if one.symbol in seen:
                raise DataError(f"universe {self.name} names {one.symbol} twice")
            seen.add(one.symbol)
        if self.benchmark is not None:
            check_symbol(self.benchmark, where=f"benchmark of universe {self.name}")

    def __len__(self) -> int:
        return len(self.instruments)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order given, without the benchmark unless it is one of them."""
        return tuple(one.symbol for one in self.instruments)

    @property
    def calendars(self) -> dict[str, str]:
        """Calendar name by symbol."""
        return {one.symbol: one.calendar for one in self.instruments}

    @property
    def categories(self) -> dict[str, Category]:
        """Category by symbol."""
        return {one.symbol: one.category for one in self.instruments}

    def select(self, categories: Iterable[Category]) -> Universe:
        """Return only the instruments of these categories."""
        wanted = set(categories)
        return replace(self, instruments=tuple(one for one in self.instruments if one.category in wanted))

    def with_benchmark(self) -> Universe:
        """Return the universe with its benchmark among the instruments, last unless it is one already.

        For what has to be fetched; a model is not trained on its benchmark. A plain symbol (``SPY``) is taken
        for a fund listed in the US.
        """
        if self.benchmark is None or self.benchmark in self.symbols:
            return self
        shape = exchange_of(self.benchmark, Category.ETF)
        return replace(self, instruments=(*self.instruments, Instrument.of(self.benchmark, shape.category)))


def universe_names() -> list[str]:
    """Return the names of the installed universes; none when no package provides any."""
    try:
        return [name for name in registry("universe").names() if name != _OF_A_FILE]
    except PluginError:
        return []


def open_universe(text: str) -> Universe:
    """Return the universe a user means, whoever provides it.

    Args:
        text: A registered name (``crypto``, ``full-market``), or the path of a TOML file.

    Raises:
        PluginError: for an unknown name, with the close match, or when no package provides universes.
        DataError: for a file that is not a universe.
        ConfigError: for a name that is neither.
    """
    provider: Any = registry("universe")
    if text.endswith(".toml"):
        made = provider.create(_OF_A_FILE, {"location": Path(text)}, where=f"universe {text}")
    elif text == _OF_A_FILE:
        raise ConfigError("write the path of the universe's file, for example my-universe.toml")
    else:
        made = provider.create(text, where=f"universe {text}")
    universe: Universe = made.universe()
    return universe
