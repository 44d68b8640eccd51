"""The page itself."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.files import write_text
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.backtest.tearsheet.caveats import caveats, chance, verdict
from marketgpt_signals.backtest.tearsheet.crises import stresses
from marketgpt_signals.backtest.tearsheet.numbers import rolling_window
from marketgpt_signals.backtest.tearsheet.sensitivity import break_even, cost_sensitivity
from marketgpt_signals.backtest.weights import weights_from_signals
from marketgpt_signals.provenance import running_code


@dataclass(frozen=True, eq=False)
class Tested:
    """A backtest of signals, and what it was made from.

    Attributes:
        result: Of :func:`marketgpt_signals.backtest.backtest_signals`.
        signals: It was given.
        candles: It was given.
        source: Where the candles are from, for the reader.
        ledger: Where the signals are from, for the reader.
    """

    result: BacktestResult
    signals: Sequence[Signal]
    candles: Candles
    source: str = ""
    ledger: str = ""


def write_pages(tested: Tested, *, html: Path | None, quantstats: Path | None) -> None:
    """Write the tearsheet, quantstats' page, or both; raises as those do."""
    if html is not None:
        write_tearsheet(html, tested)
    if quantstats is not None:
        from marketgpt_signals.backtest.tearsheet.quantstats_page import write_quantstats

        strategies = ", ".join(_names(tested.signals, "strategy"))
        write_quantstats(quantstats, tested.result, f"{strategies}, {tested.result.config.horizon_bars} bars")


def write_tearsheet(path: Path, tested: Tested) -> Path:
    """Write a backtest's tearsheet: one HTML page that opens without a network.

    Raises:
        ConfigError: when plotly is not installed.
        RunError: when the file cannot be written.
    """
    return write_text(path, tearsheet(tested))


def tearsheet(tested: Tested) -> str:
    """Return a backtest's tearsheet as HTML; see :func:`write_tearsheet`."""
    try:
        from marketgpt_signals.backtest.tearsheet import figures
    except ImportError as error:
        raise ConfigError("a tearsheet needs plotly: pip install 'marketgpt-signals[plot]'") from error
    from marketgpt_core.web.drawing import fill
    from marketgpt_signals.backtest.tearsheet import tables
    from marketgpt_signals.backtest.tearsheet.layout import PAGE, STYLE

    result = tested.result
    long_enough = len(result.time) > 2  # noqa: PLR2004 - two returns
    values = {
        "TITLE": html.escape(f"Backtest of {', '.join(_names(tested.signals, 'strategy'))}"),
        "MORE_CSS": STYLE,
        "INTRO": _intro(tested),
        "VERDICT": html.escape(verdict(result)),
        "CHANCE": html.escape(chance(result)),
        "HEADLINE": tables.headline(result),
        "AGAINST": tables.against(result),
        "LUCK": tables.without_knowledge(result),
        "TRADES": tables.trades_table(result),
        "HEATMAP": tables.heatmap(*figures.months_of(result)),
        "SPREAD": tables.spread_table(result),
        "TESTED": _tested_table(tested),
        "CAVEATS": _list(caveats(result, num_models=len(_names(tested.signals, "model_id")))),
    }
    drawn = {
        "EQUITY": figures.equity_figure,
        "UNDERWATER": figures.underwater_figure,
        "EXPOSURE": figures.exposure_figure,
        "TURNOVER": figures.turnover_figure,
        "RETURNS": figures.returns_figure,
    }
    for name, draw in drawn.items():
        values[name] = _div(draw(result), name) if long_enough else _too_short(len(result.time))
    values |= _rolling(result) | _costs(tested) | _crises(result)
    return fill(PAGE, values)


def _div(figure: object, name: str) -> str:
    from marketgpt_core.web.drawing import figure_div

    return figure_div(figure, name.lower(), mode_bar=False)


def _too_short(num_bars: int) -> str:
    return f"<p class='muted'>{num_bars} bars are too few for a picture.</p>"


def _intro(tested: Tested) -> str:
    result, signals = tested.result, tested.signals
    symbols = ", ".join(result.symbols[:8]) + (" ..." if len(result.symbols) > 8 else "")  # noqa: PLR2004
    told = (
        f"{symbols}, {result.config.horizon_bars} x "
        f"{signals[0].interval} bars ahead, {iso(result.time[0])} to {iso(result.time[-1])}"
    )
    return html.escape(told)


def _rolling(result: BacktestResult) -> dict[str, str]:
    from marketgpt_signals.backtest.tearsheet.figures import rolling_figure

    window = rolling_window(result.time)
    if window is None:
        return {"WINDOW": "", "ROLLING": "<p class='muted'>The test is too short for a rolling window.</p>"}
    said = f"Of the last {window} bars, as a ratio a year; blank until {window} returns are there."
    return {"WINDOW": said, "ROLLING": _div(rolling_figure(result, window), "rolling")}


def _costs(tested: Tested) -> dict[str, str]:
    from marketgpt_signals.backtest.tearsheet.figures import costs_figure
    from marketgpt_signals.backtest.tearsheet.tables import costs_table

    config, cost = tested.result.config, tested.result.config.cost
    plan = weights_from_signals(tested.signals, tested.candles, horizon_bars=config.horizon_bars)
    rows = cost_sensitivity(plan, config)
    even = break_even(rows)
    said = (
        f"The same signals traded anew. Costs x 1: {cost.fee_bps:g} bps fee and {cost.slippage_bps:g} bps "
        f"slippage each way, {cost.borrow_bps_per_year:g} bps a year to borrow."
    )
    if even is not None:
        said += f" At about {even:.1f} times these nothing is left."
    return {
        "COSTS_SAID": said,
        "COSTS": _div(costs_figure(rows, tested.result.hold.total_return), "costs"),
        "COSTS_TABLE": costs_table(rows),
    }


def _crises(result: BacktestResult) -> dict[str, str]:
    from marketgpt_signals.backtest.tearsheet.tables import crisis_table

    inside, cut = stresses(result.time, result.equity, result.benchmark)
    shown = crisis_table(inside) if inside else "<p>None of the windows lies inside this test.</p>"
    if cut:
        names = ", ".join(one.name for one in cut)
        shown += f"<p class='muted'>Only in part inside this test, and left out: {html.escape(names)}.</p>"
    return {"CRISES": shown}


def _tested_table(tested: Tested) -> str:
    from marketgpt_core.web.drawing import html_table

    result, signals = tested.result, tested.signals
    config = result.config
    rows = [
        ("signals", f"{len(signals):,} of {tested.ledger}" if tested.ledger else f"{len(signals):,}"),
        ("left out, beyond the candles", f"{result.num_outside:,}"),
        ("strategy", ", ".join(_names(signals, "strategy"))),
        ("model", ", ".join(_names(signals, "model_id"))),
        ("model's candles", ", ".join(_names(signals, "data_fingerprint"))),
        ("code of the signals", ", ".join(_names(signals, "code_revision")) or "not said"),
        ("code of this page", running_code()),
        ("symbols", ", ".join(result.symbols)),
        ("period", f"{iso(result.time[0])} to {iso(result.time[-1])}, {len(result.time):,} bars"),
        ("candles from", tested.source or "not said"),
        ("candles' fingerprint", tested.candles.fingerprint()),
        ("held for", f"{config.horizon_bars} bars of {signals[0].interval}, in overlapping cohorts"),
        *_flat(config.model_dump(exclude={"horizon_bars"})),
    ]
    return html_table(("", ""), rows, kind="prose")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _names(signals: Sequence[Signal], field: str) -> list[str]:
    return sorted({name for signal in signals if (name := str(getattr(signal, field)))})


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"
