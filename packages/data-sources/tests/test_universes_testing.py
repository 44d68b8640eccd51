"""The conformance suite holds for ours, and catches universes broken on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marketgpt_core.symbols import Category
from marketgpt_core.universe import Instrument, Universe
from marketgpt_data_sources.registry import universes
from marketgpt_data_sources.universes.base import UniverseProvider
from marketgpt_data_sources.universes.file import FileUniverse
from marketgpt_data_sources.universes.testing import UniverseConformance

SAP = Instrument("SAP.DE", Category.EU, "XETR", "EUR", "XETR")
GOLD = Instrument("GC=F", Category.COMMODITY, "XCEC", "USD", "CMES")
SOUND = Universe("sound", "Two.", (SAP, GOLD), "VGK")


@pytest.mark.parametrize("name", sorted({*universes().names()} - {"file"}))
class TestEveryInstalledUniverse(UniverseConformance):
    @pytest.fixture
    def implementation(self, name: str) -> UniverseProvider:
        return universes().create(name)


class _Fixed(UniverseProvider):
    def __init__(self, universe: Universe) -> None:
        super().__init__(self.Config())
        self._universe = universe

    def universe(self) -> Universe:
        return self._universe


class _Restless(_Fixed):
    def universe(self) -> Universe:
        self._universe = replace(self._universe, about=f"{self._universe.about}!")
        return self._universe


def _with(**changes: object) -> _Fixed:
    return _Fixed(replace(SOUND, instruments=(replace(SAP, **changes), GOLD)))


BROKEN = {
    "test_says_what_it_is": _Fixed(replace(SOUND, about="two\nlines")),
    "test_names_instruments_once": _Fixed(replace(SOUND, instruments=())),
    "test_is_the_same_each_time": _Restless(SOUND),
    "test_calendars_exist": _with(calendar="XETRA"),
    "test_exchanges_and_currencies_are_codes": _with(exchange="Xetra"),
    "test_categories_agree_with_the_marks_of_symbols": _Fixed(
        replace(SOUND, instruments=(replace(GOLD, category=Category.EM),))
    ),
}


@pytest.mark.parametrize("caught_by", BROKEN)
def test_what_is_broken_is_caught(caught_by: str) -> None:
    suite, provider = UniverseConformance(), BROKEN[caught_by]
    tests = [name for name in dir(suite) if name.startswith("test_")]
    failed = []
    for name in tests:
        test = getattr(suite, name)
        wanted = {"implementation": provider, "universe": provider.universe()}
        arguments = {key: wanted[key] for key in wanted if key in test.__code__.co_varnames}
        try:
            test(**arguments)
        except Exception:  # noqa: BLE001 - whatever it raises, pytest reports a failure
            failed.append(name)
    assert failed == [caught_by]


def test_a_share_may_count_to_any_market() -> None:
    UniverseConformance().test_categories_agree_with_the_marks_of_symbols(
        Universe("x", "", (replace(SAP, category=Category.ETF), SAP.of("0700.HK", Category.EM)))
    )


def test_a_universe_that_needs_a_file_is_skipped() -> None:
    find = UniverseConformance.universe.__wrapped__  # what pytest made a fixture of
    with pytest.raises(pytest.skip.Exception, match="cannot be used with default options: write the path"):
        find(UniverseConformance(), FileUniverse(FileUniverse.Config()))
