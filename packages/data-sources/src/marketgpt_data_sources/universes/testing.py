"""What every universe must do: a pytest class for its author.

Subclass it, give a fixture ``implementation`` and run pytest::

    from marketgpt_data_sources.universes.testing import UniverseConformance

    class TestMetals(UniverseConformance):
        @pytest.fixture
        def implementation(self):
            return Metals(Metals.Config())
"""

from __future__ import annotations

import re

import pytest

from marketgpt_core.calendar_tables import canonical
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError
from marketgpt_core.exchanges import guess_category
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.universe import Universe
from marketgpt_data_sources.universes.base import UniverseProvider

_EXCHANGE = re.compile(r"[A-Z0-9]{4}|24/7|24/5|index|unknown")
_MARKED = {Category.INDEX, Category.FX, Category.COMMODITY, Category.CRYPTO}
_CURRENCY = re.compile(r"[A-Z]{2}[A-Za-z]")


class UniverseConformance:
    """Requirements on a universe, one test each.

    The fixture ``implementation`` gives a fresh provider. When it needs a location it was not given, tests
    are skipped and say so.
    """

    @pytest.fixture
    def implementation(self) -> UniverseProvider:
        """Return a fresh provider; to be overridden."""
        raise NotImplementedError("give a fixture 'implementation' that returns a universe's provider")

    @pytest.fixture
    def universe(self, implementation: UniverseProvider) -> Universe:
        """Return its universe."""
        try:
            given = implementation.universe()
        except ConfigError as error:
            pytest.skip(f"the universe cannot be used with default options: {error}")
        assert isinstance(given, Universe)
        return given

    def test_has_a_frozen_config(self, implementation: UniverseProvider) -> None:
        """Options are a pydantic class: validated, closed and frozen."""
        assert issubclass(type(implementation).Config, BaseConfig)

    def test_says_what_it_is(self, universe: Universe) -> None:
        """A name, and one line about it that can be printed."""
        assert universe.name
        assert universe.name.isprintable()
        assert universe.about.isprintable()

    def test_names_instruments_once(self, universe: Universe) -> None:
        """There are some; symbols are symbols, each named once."""
        assert len(universe) > 0
        assert all(check_symbol(symbol) == symbol for symbol in universe.symbols)
        assert len(set(universe.symbols)) == len(universe)

    def test_is_the_same_each_time(self, implementation: UniverseProvider, universe: Universe) -> None:
        """A run that names a universe can be repeated."""
        assert implementation.universe() == universe

    def test_calendars_exist(self, universe: Universe) -> None:
        """Each instrument's trading calendar is known."""
        for name in sorted(set(universe.calendars.values())):
            assert canonical(name)

    def test_exchanges_and_currencies_are_codes(self, universe: Universe) -> None:
        """Four characters of ISO 10383, three of ISO 4217 or Yahoo's for a hundredth."""
        for one in universe.instruments:
            assert _EXCHANGE.fullmatch(one.exchange), one
            assert _CURRENCY.fullmatch(one.currency), one

    def test_categories_agree_with_the_marks_of_symbols(self, universe: Universe) -> None:
        """``^`` is an index, ``=X`` fx, ``=F`` a commodity, ``-USD`` crypto; of a share the list says."""
        for one in universe.instruments:
            marked = guess_category(one.symbol)
            assert marked not in _MARKED or one.category is marked, one

    def test_benchmark_is_a_symbol(self, universe: Universe) -> None:
        """What the market is measured against can be fetched."""
        assert universe.benchmark is None or check_symbol(universe.benchmark) == universe.benchmark
        assert universe.with_benchmark().symbols[: len(universe)] == universe.symbols
