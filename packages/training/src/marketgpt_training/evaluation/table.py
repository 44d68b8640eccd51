"""Evaluation results as tables people read, each within 80 columns, where a cut number would be no number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

_SHORT = {
    "random_walk": "/walk", "ewma_normal": "/EWMA", "ewma_fhs": "/FHS", "garch_t": "/GARCH", "gjr_t": "/GJR",
    "ar1": "/AR1", "log_har": "/HAR",
}  # fmt: skip
_MOST_SYMBOLS_NAMED = 8


def results_tables(results: Mapping[str, Any]) -> Group:
    """Return the tables of an evaluation: density, calibration, volatility and direction, tokens."""
    tables = [_density(results), _calibration(results), _volatility(results), _direction(results)]
    if "tokens" in results:
        tables.append(_tokens(results["tokens"]))
    parts: list[Any] = [Text(f"suspicious: {one}", style="bold red") for one in results.get("suspicions", ())]
    for table in tables:
        parts += [table, ""]
    return Group(*parts)


def _table(title: str, caption: str, headings: Sequence[str], rows: Iterator[list[str]]) -> Table:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, show_edge=False, padding=0,
        caption=caption, caption_justify="left",
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _symbols(symbols: Sequence[str]) -> str:
    named = ", ".join(symbols[:_MOST_SYMBOLS_NAMED])
    more = len(symbols) - _MOST_SYMBOLS_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _density(results: Mapping[str, Any]) -> Table:
    baselines = list(next(iter(results["horizons"].values()))["against"])
    title = (
        f"{_symbols(results['symbols'])}: {results['from']} to {results['to']}, "
        f"{results['forecasts']} forecasts"
    )
    caption = (
        "/: CRPS over that of the expanding empirical law (walk), EWMA-normal, EWMA-FHS, GARCH-t, GJR-t and "
        "AR(1): below 1 the model is better; * the 90% interval excludes 1. NLL: nats of the return."
    )

    def rows() -> Iterator[list[str]]:
        for horizon, entry in results["horizons"].items():
            ours = entry["models"]["model"]
            ratios = [_starred(entry["against"][name], "crps_ratio") for name in baselines]
            nll = "-" if ours["nll"] is None else f"{ours['nll']:.3f}"
            yield [horizon, str(ours["count"]), f"{ours['crps']:.5f}", *ratios, nll]

    return _table(title, caption, ("bars", "n", "CRPS", *(_SHORT[name] for name in baselines), "NLL"), rows())


def _calibration(results: Mapping[str, Any]) -> Table:
    caption = (
        "What the intervals cover and how often the return fell below the 5% and 1% quantile; ! Kupiec's "
        "test, corrected for shared dates, rejects at 5%. KS: of the PIT. ECE: of P(up), with what chance "
        "alone gives."
    )

    def rows() -> Iterator[list[str]]:
        for horizon, entry in results["horizons"].items():
            ours = entry["models"]["model"]
            hits = [ours["coverage_tests"][share] for share in ("0.50", "0.80", "0.90", "0.98")]
            hits += [ours["var"][level] for level in ("0.05", "0.01")]
            floor = "-" if ours["ece_floor"] is None else f"{ours['ece_floor']:.3f}"
            yield [
                horizon, *(f"{one['rate']:.1%}{'!' if one['kupiec_p'] < 0.05 else ''}" for one in hits),  # noqa: PLR2004
                f"{ours['pit_ks']:.3f}", f"{ours['ece']:.3f}", floor,
            ]  # fmt: skip

    headings = ("bars", "in 50%", "in 80%", "in 90%", "in 98%", "VaR 5%", "VaR 1%", "KS", "ECE", "chance")
    return _table("Calibration", caption, headings, rows())


def _volatility(results: Mapping[str, Any]) -> Table:
    chosen = ("random_walk", "ewma_fhs", "garch_t", "gjr_t", "log_har")
    caption = (
        "QLIKE of the forecast variance against range variance, and over that of the others: below 1 the "
        "model is better; * the 90% interval excludes 1. bias: mean variance forecast over what came."
    )

    def rows() -> Iterator[list[str]]:
        for horizon, entry in results["horizons"].items():
            section = entry["volatility"]
            if not section["count"]:
                continue
            ours = section["models"]["model"]
            ratios = [_starred(section["against"][name], "qlike_ratio") for name in chosen]
            yield [horizon, f"{ours['qlike']:.4f}", *ratios, f"{ours['bias']:.2f}", f"{ours['mae']:.5f}"]

    headings = ("bars", "QLIKE", *(_SHORT[name] for name in chosen), "bias", "MAE")
    return _table("Volatility", caption, headings, rows())


def _direction(results: Mapping[str, Any]) -> Table:
    caption = (
        "right, ups: direction beside always up; * the 90% interval of the difference excludes 0. 3rds: "
        "terciles told right, of the three past ones. RankIC: a date's mean, t by Newey-West."
    )

    def rows() -> Iterator[list[str]]:
        for horizon, entry in results["horizons"].items():
            ours = entry["models"]["model"]
            beside = ours["beside_always_up"]
            star = "*" if beside["verdict"] != "undecided" else ""
            ic = ours["rank_ic"]
            area = "-" if ours["auc"] is None else f"{ours['auc']:.3f}"
            yield [
                horizon, f"{ours['direction_accuracy']:.1%}{star}", f"{ours['always_up_accuracy']:.1%}",
                f"{beside['mcnemar_p']:.3f}", area, f"{ours['brier']:.4f}", f"{ours['tercile_accuracy']:.1%}",
                f"{ours['tercile_rps']:.4f}",
                "-" if ic is None else f"{ic['mean']:+.3f}",
                "-" if ic is None or ic["t"] is None else f"{ic['t']:+.1f}",
            ]  # fmt: skip

    headings = ("bars", "right", "ups", "McNemar", "AUC", "Brier", "3rds", "RPS", "RankIC", "t")
    return _table("Direction", caption, headings, rows())


def _tokens(section: Mapping[str, Any]) -> Table:
    entropy, top1 = section["cross_entropy"], section["top1"]
    names = [name for name in entropy["model"] if name != "total"]
    caption = "Cross-entropy in nats (a candle, then by channel), the likeliest token's share of hits."
    caption += f" As a density: {section['density']['nats_a_candle']:.3f} nats a candle."

    def rows() -> Iterator[list[str]]:
        for name, values in entropy.items():
            yield [
                name, *(f"{values[one]:.3f}" for one in ("total", *names)), f"{top1[name]['total']:.1%}"
            ]  # fmt: skip

    headings = ("law", "nats", *names, "top-1")
    return _table(f"Tokens of {section['candles']:,} candles", caption, headings, rows())


def _starred(entry: Mapping[str, Any], key: str) -> str:
    star = "*" if entry["verdict"] != "undecided" else ""
    return f"{entry[key]:.3f}{star}"
