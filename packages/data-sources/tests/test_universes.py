from __future__ import annotations

import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path

import pytest

from marketgpt_core.calendar_tables import canonical
from marketgpt_core.calendars import trading_calendar
from marketgpt_core.conformance import suite_for
from marketgpt_core.errors import ConfigError, DataError, PluginError
from marketgpt_core.exchanges import exchange_of, guess_category
from marketgpt_core.plugins import plugin_group, registries
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.universe import Instrument, Universe, open_universe
from marketgpt_data_sources.registry import universes
from marketgpt_data_sources.universes.base import TomlUniverse, UniverseProvider
from marketgpt_data_sources.universes.toml_file import UniverseFile, read_universe

MARKETS = {"us": "SPY", "eu": "VGK", "em": "EEM", "commodity": "GLD", "crypto": "BTC-USD"}
BENCHMARKS = {**MARKETS, "us-tech": "QQQ", "reduced": None, "full-market": None}
SHARES = {
    "us": {"us": 270},
    "us-tech": {"us": 60},
    "eu": {"eu": 150},
    "em": {"em": 130},
    "commodity": {"commodity": 30},
    "crypto": {"crypto": 20},
    "reduced": {"us": 45, "em": 25, "commodity": 15, "crypto": 15},
    "full-market": {"us": 270, "eu": 150, "em": 130, "commodity": 30, "crypto": 20},
}
EVERY = pytest.mark.parametrize("name", sorted(SHARES))
DOCS = Path(__file__).parents[3] / "docs"
GOLD = Instrument("GC=F", Category.COMMODITY, "XCEC", "USD", "CMES")
# Symbols that were given up, or that Yahoo has by another name: whoever adds one adds an empty history.
GONE = {
    *("FB", "TWTR", "ATVI", "SIVB", "FRC", "SBNY", "PXD", "VMW", "ANSS", "HES", "DFS", "WBA", "SQ", "MMC"),
    *("BK", "WBD", "EA", "HOLX", "CTRA", "K", "JNPR", "ABC", "ANTM", "BLL", "PKI", "RE", "FLT", "GPS", "FI"),
    *("CS.SW", "CSGN.SW", "DAI.DE", "DPW.DE", "FP.PA", "STLA.MI", "FCA.MI", "RDSA.L", "RDSB.L", "RB.L"),
    *("HDFC.NS", "TATAMOTORS.NS", "MINDTREE.NS", "AMXL.MX", "ELET3.SA", "EMBR3.SA", "JBSS3.SA"),
    *("LUNA-USD", "MATIC-USD", "FTM-USD", "EOS-USD", "UNI-USD", "SUI-USD", "TON-USD", "PEPE-USD", "LBS=F"),
}  # fmt: skip


def test_every_built_in_universe_is_known() -> None:
    assert set(universes().names()) >= {*SHARES, "file"}


@EVERY
def test_counts_and_benchmark(name: str) -> None:
    universe = open_universe(name)
    assert universe.name == name
    assert Counter(map(str, universe.categories.values())) == SHARES[name]
    assert len(universe) == sum(SHARES[name].values())
    assert universe.benchmark == BENCHMARKS[name]
    assert universe.as_of == date(2026, 11, 22)


@EVERY
def test_symbols_are_symbols_once_and_none_that_has_gone(name: str) -> None:
    symbols = open_universe(name).symbols
    assert len(set(symbols)) == len(symbols)
    assert [check_symbol(symbol) for symbol in symbols] == list(symbols)
    assert GONE & set(symbols) == set()


@EVERY
def test_instruments_agree_with_the_table_of_exchanges(name: str) -> None:
    for one in open_universe(name).instruments:
        shape = exchange_of(one.symbol, one.category)
        assert (one.currency, one.calendar) == (shape.currency, shape.calendar), one
        # A plain symbol does not say which exchange of the US it is; the file does.
        assert one.exchange == shape.name or (shape.name == "XNYS" and one.exchange in {"XNAS", "ARCX"}), one
        # Nor does a suffix say whether Hong Kong's share is one of mainland China; the file does.
        assert guess_category(one.symbol) in {one.category, Category.UNKNOWN}, one
        assert guess_category(one.symbol, plain=one.category) is one.category or one.symbol.endswith(".HK"), (
            one
        )


def test_survivorship_is_said_in_every_list_of_companies_and_coins() -> None:
    for name in set(SHARES) - {"commodity"}:
        assert "survivors" in open_universe(name).notes, name


def test_calendars_exist() -> None:
    """By name; the slow test below builds them."""
    for name in set(open_universe("full-market").calendars.values()):
        assert canonical(name) == name


@pytest.mark.slow
def test_calendars_build_and_cover_twenty_years() -> None:
    for name in sorted(set(open_universe("full-market").calendars.values())):
        calendar = trading_calendar(name)
        assert calendar.first is not None, name
        assert calendar.first.astype(object) <= date(2000, 1, 31), name


def test_the_full_market_is_its_markets_together() -> None:
    whole = open_universe("full-market")
    assert whole.instruments == tuple(one for name in MARKETS for one in open_universe(name).instruments)
    assert set(open_universe("reduced").instruments) <= set(whole.instruments)
    assert set(open_universe("us-tech").instruments) <= set(open_universe("us").instruments)


def test_emerging_markets_and_europe_are_spread_over_exchanges() -> None:
    for name, places in (("em", 15), ("eu", 13)):
        counts = Counter(one.exchange for one in open_universe(name).instruments)
        assert len(counts) == places
        assert max(counts.values()) <= len(open_universe(name)) // 5


def test_files_are_in_order_and_in_the_package() -> None:
    """What a wheel holds is what lies under the package: the build takes all of it."""
    files = {one.name for one in resources.files("marketgpt_data_sources.universes").iterdir()}
    assert {f"{name}.toml" for name in SHARES} <= files
    for name in set(SHARES) - {"full-market"}:
        path = resources.files("marketgpt_data_sources.universes") / f"{name}.toml"
        for group in re.findall(r"symbols = \[(.*?)\]", path.read_text(), re.DOTALL):
            symbols = re.findall(r'"([^"]+)"', group)
            assert symbols == sorted(symbols), name


def test_the_page_tells_the_shares() -> None:
    page = DOCS / "universes.md"
    if not page.is_file():
        pytest.skip("no docs beside this package")
    text = page.read_text()
    for name, benchmark in BENCHMARKS.items():
        count = sum(SHARES[name].values())
        assert f"| `{name}` | {count} | {f'{benchmark} ' if benchmark else ''}|" in text
    for name in ("full-market", "reduced"):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |") and "%" in line)
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        total = sum(SHARES[name].values())
        told = [
            f"{count} ({100 * count / total:.0f}%)" if (count := SHARES[name].get(market)) else ""
            for market in MARKETS
        ]
        assert cells == told


# A user's file.


def _written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_users_file_of_the_page(tmp_path: Path) -> None:
    page = DOCS / "universes.md"
    if not page.is_file():
        pytest.skip("no docs beside this package")
    (text,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    universe = open_universe(_written(tmp_path, text))
    crypto = open_universe("crypto").instruments
    assert universe == Universe(
        "mine",
        "What I trade",
        (
            *crypto,
            Instrument("AAPL", Category.US, "XNYS", "USD", "XNYS"),
            Instrument("MSFT", Category.US, "XNYS", "USD", "XNYS"),
            Instrument("CSPX.L", Category.ETF, "XLON", "USD", "XLON"),
        ),
        "SPY",
        date(2026, 11, 22),
        "What I held in November: survivors.",
    )


def test_the_least_a_file_may_say(tmp_path: Path) -> None:
    path = _written(tmp_path, 'name = "one"\ngroups = [{category = "commodity", symbols = ["GC=F"]}]')
    assert open_universe(path) == Universe("one", "", (GOLD,))


def test_a_home_folder_may_be_abbreviated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _written(tmp_path, 'name = "one"\ngroups = [{category = "commodity", symbols = ["GC=F"]}]')
    assert open_universe("~/mine.toml").symbols == ("GC=F",)


def test_aliases_and_unusual_calendars_are_known(tmp_path: Path) -> None:
    text = 'name = "x"\n[[groups]]\ncategory = "em"\nsymbols = ["KASPI"]\ncalendar = "AIXK"\n'
    assert read_universe(Path(_written(tmp_path, text))).calendars == {"KASPI": "AIXK"}


GROUP = '[[groups]]\ncategory = "us"\nsymbols = ["AAPL"]\n'
MISTAKES = {
    "not TOML": ("name = ", "is not TOML"),
    "not text": ("\udcff", "is not TOML"),
    "deep": ("x = " + "[" * 100_000, "is not TOML"),
    "nothing": ("", "name: Field required"),
    "no name": (GROUP, "name: Field required"),
    "name with a slash": (f'name = "../x"\n{GROUP}', "got '../x'"),
    "number for a name": (f"name = 5\n{GROUP}", "name: Input should be a valid string, got 5"),
    "unknown key": (f'name = "x"\nbenchmrk = "SPY"\n{GROUP}', "'benchmrk' .*did you mean 'benchmark'"),
    "unknown key of a group": (f'name = "x"\n{GROUP}catgory = "us"\n', "catgory.*did you mean 'category'"),
    "control characters": (f'name = "x"\nabout = "a\\u001b[31m"\n{GROUP}', "about: String should match"),
    "two lines about": (f'name = "x"\nabout = "a\\nb"\n{GROUP}', "about: String should match"),
    "no instruments": ('name = "x"\n', r"names no instruments: write \[\[groups\]\]"),
    "groups is a number": ('name = "x"\ngroups = 5\n', "groups: Input should be a valid tuple, got 5"),
    "a group without symbols": ('name = "x"\n[[groups]]\ncategory = "us"\nsymbols = []\n', "symbols: Tuple"),
    "a symbol for symbols": ('name = "x"\n[[groups]]\ncategory = "us"\nsymbols = "AAPL"\n', "got 'AAPL'"),
    "a number for a symbol": ('name = "x"\n[[groups]]\ncategory = "us"\nsymbols = [700]\n', "got 700"),
    "unknown category": (f'name = "x"\n{GROUP}'.replace('"us"', '"usa"'), "'crypto'.*got 'usa'"),
    "unknown calendar": (f'name = "x"\n{GROUP}calendar = "XNYX"\n', "calendar 'XNYX'; did you mean 'XNYS'"),
    "exchange that is none": (f'name = "x"\n{GROUP}exchange = "New York"\n', "exchange.*got 'New York'"),
    "currency that is none": (f'name = "x"\n{GROUP}currency = "dollars"\n', "currency.*got 'dollars'"),
    "date as text": (f'name = "x"\nas_of = "November"\n{GROUP}', "as_of: .*got 'November'"),
    "date as a number": (f'name = "x"\nas_of = 0\n{GROUP}', "as_of: .*got 0"),
    "a symbol twice": (f'name = "x"\n{GROUP}{GROUP}', "universe x names AAPL twice"),
    "a symbol of an included one": (
        f'name = "x"\ninclude = ["crypto"]\n{GROUP}'.replace("AAPL", "BTC-USD"), "names BTC-USD twice",
    ),
    "hostile symbol": (f'name = "x"\n{GROUP}'.replace("AAPL", "../../x"), "'../../x' is not a symbol"),
    "a query": (f'name = "x"\n{GROUP}'.replace("AAPL", "A'; DROP TABLE x"), "is not a symbol"),
    "hostile benchmark": (f'name = "x"\nbenchmark = "../y"\n{GROUP}', "'../y' is not a symbol"),
    "unknown include": (f'name = "x"\ninclude = ["crypt"]\n{GROUP}', "'crypt'; did you mean 'crypto'"),
    "include of a path": (f'name = "x"\ninclude = ["y.toml"]\n{GROUP}', "include.*got 'y.toml'"),
    "include of file": (f'name = "x"\ninclude = ["file"]\n{GROUP}', "write the path"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        open_universe(str(path))
    said = str(caught.value)
    assert "mine.toml" in said
    assert "\n" not in said
    assert len(said) < 700


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"nowhere\.toml does not exist$"):
        open_universe(str(tmp_path / "nowhere.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(DataError, match=r"folder\.toml is not a file$"):
        open_universe(str(tmp_path / "folder.toml"))
    with pytest.raises(DataError, match="cannot read the universe"):
        open_universe(f"{'x' * 5000}.toml")
    giant = tmp_path / "giant.toml"
    with giant.open("wb") as file:
        file.truncate(1_000_001)
    with pytest.raises(DataError, match=r"giant\.toml has 1,000,001 bytes; .* at most 1,000,000"):
        open_universe(str(giant))


def test_names_that_are_none() -> None:
    with pytest.raises(PluginError, match="unknown universe 'full-markt'; did you mean 'full-market'"):
        open_universe("full-markt")
    with pytest.raises(PluginError, match=r"unknown universe '\.\./\.\./etc/passwd'"):
        open_universe("../../etc/passwd")
    for provider in (lambda: open_universe("file"), lambda: universes().create("file").universe()):
        with pytest.raises(ConfigError, match=r"write the path of the universe's file, for example"):
            provider()


# A plugin's universe.


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on ``sys.path`` that holds an installed distribution with the plugin ``outside.plugin``."""

    def forget() -> None:
        for cached in (plugin_group, registries, universes):
            cached.cache_clear()

    folder = tmp_path / "site"
    info = folder / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n\n")
    (info / "entry_points.txt").write_text("[marketgpt.data_sources]\noutside = outside.plugin\n")
    (folder / "outside").mkdir()
    (folder / "outside" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    forget()
    yield folder / "outside"
    forget()
    for name in [name for name in sys.modules if name.partition(".")[0] == "outside"]:
        del sys.modules[name]


def _plugin(site: Path, entries: dict[str, str]) -> None:
    hook = f"def marketgpt_universes():\n    return {entries!r}\n"
    (site / "plugin.py").write_text(f"from marketgpt_core import hookimpl\n@hookimpl\n{hook}")


def test_the_plugin_of_the_page(site: Path) -> None:
    page = DOCS / "plugins" / "data-source.md"
    if not page.is_file():
        pytest.skip("no docs beside this package")
    blocks = dict(
        re.findall(r"`src/marketgpt_metals/([^`\n]+)`:\n\n```\w*\n(.*?)```", page.read_text(), re.DOTALL)
    )
    assert sorted(blocks) == ["metals.toml", "plugin.py", "universe.py"]
    for name, text in blocks.items():
        (site / name).write_text(text.replace("marketgpt_metals", "outside"))
    metals = open_universe("metals")
    assert metals.instruments[0] == GOLD
    assert metals.symbols == ("GC=F", "PA=F", "PL=F", "SI=F")
    assert (metals.benchmark, metals.as_of) == ("GLD", date(2026, 11, 22))
    assert universes().provider("metals").distribution == "outside"
    assert suite_for("universe", "metals").__mro__[1].__name__ == "UniverseConformance"


def test_a_universe_cannot_include_itself(site: Path) -> None:
    _plugin(site, {"a": "outside.both:A", "b": "outside.both:B"})
    (site / "both.py").write_text(
        "from marketgpt_data_sources.universes.base import TomlUniverse\n"
        "class A(TomlUniverse):\n    file = 'a.toml'\n"
        "class B(TomlUniverse):\n    file = 'b.toml'\n"
    )
    (site / "a.toml").write_text('name = "a"\ninclude = ["b"]\n')
    (site / "b.toml").write_text('name = "b"\ninclude = ["a"]\n')
    with pytest.raises(DataError, match="b includes a includes b: a universe cannot include itself"):
        open_universe("a")


def test_a_plugins_universe_names_its_file(site: Path) -> None:
    """Relative to the module that names the file, not to that of a subclass elsewhere."""
    _plugin(site, {"one": "outside.deep.below:Child"})
    (site / "above.py").write_text(
        "from marketgpt_data_sources.universes.base import TomlUniverse\n"
        "class Parent(TomlUniverse):\n    file = 'one.toml'\n"
    )
    (site / "deep").mkdir()
    (site / "deep" / "below.py").write_text(
        "from outside.above import Parent\nclass Child(Parent):\n    pass\n"
    )
    with pytest.raises(DataError, match=r"outside/one\.toml does not exist"):
        open_universe("one")
    (site / "one.toml").write_text('name = "one"\ngroups = [{category = "commodity", symbols = ["GC=F"]}]')
    assert open_universe("one").instruments == (GOLD,)


def test_a_universe_without_a_file_says_so() -> None:
    class Nameless(TomlUniverse):
        pass

    with pytest.raises(PluginError, match="universe Nameless names no file beside its module"):
        Nameless(Nameless.Config()).universe()


def test_a_universe_of_ones_own_may_be_computed() -> None:
    class Computed(UniverseProvider):
        def universe(self) -> Universe:
            return Universe("computed", "One.", (GOLD,))

    assert Computed(Computed.Config()).universe().symbols == ("GC=F",)


def test_nothing_of_a_universe_can_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        open_universe("crypto").name = "other"  # type: ignore[misc]


def test_every_key_of_a_file_is_in_the_readers_example(tmp_path: Path) -> None:
    """The example on top of the reader is read by it, and shows every key."""
    from marketgpt_data_sources.universes import toml_file

    example = "\n".join(line.removeprefix("    ") for line in str(toml_file.__doc__).splitlines()[2:])
    universe = read_universe(Path(_written(tmp_path, example)))
    assert universe.instruments[-2] == GOLD
    assert universe.notes == "Front months, not adjusted."
    for key in (*UniverseFile.model_fields, *toml_file.Group.model_fields):
        assert re.search(rf"^(\[\[)?{key}\b", example, re.MULTILINE), key
