"""An evaluation as one HTML page with its pictures; it opens without a network."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketgpt_core.files import write_text
from marketgpt_core.web.drawing import PAGE_HEAD, figure_div, fill, html_table
from marketgpt_training.evaluation.baselines import LABELS

Results = Mapping[str, Any]

# ruff: noqa: E501 - prose in HTML is wrapped by the browser
_MORE_CSS = """
details { margin-top: 8px; } summary { cursor: pointer; color: #2f5fd0; font-size: 14px; }
.better { color: #12855c; font-weight: 600; } .worse { color: #c0392b; font-weight: 600; }
"""
_PAGE = (
    PAGE_HEAD
    + """@@SUSPICIONS@@
<section><h2>Density: CRPS against the baselines</h2>
<p>@@VERDICTS@@</p>
<p class="muted">CRPS of the model over that of the baseline, with 90% intervals from a bootstrap of whole dates in blocks.
Left of the dotted line the model is better; green and red where the interval excludes 1, grey where nothing is settled.</p>
@@FOREST@@
<details><summary>all numbers</summary>@@DENSITY@@</details></section>

<section><h2>Skill as time goes on</h2>
<p class="muted">CRPS over that of GARCH(1,1)-t by quarter of the forecast's date; below 1 the model is better.</p>
@@TIME@@</section>

<section><h2>Calibration: the intervals</h2>
<p class="muted">How much more or less than promised the intervals cover, with 90% intervals; inside the grey band the error
is under 1.5 points.</p>
@@COVERAGE@@
<p class="muted">Probability integral transform: flat if calibrated; a hump in the middle means intervals too wide, a valley
too narrow, a slope a bias.</p>
@@PIT@@
<details><summary>all numbers</summary>@@CALIBRATION@@</details></section>

<section><h2>Calibration: P(up)</h2>
<p class="muted">On the dotted line what the model calls 60% happens 60% of the time. The level line is the share of rises,
what always saying up gets right. ECE stands beside what a perfectly calibrated forecast of as many, equally
dependent pairs would show by chance.</p>
@@RELIABILITY@@
<details><summary>all numbers</summary>@@DIRECTION@@</details></section>

<section><h2>Volatility</h2>
<p class="muted">QLIKE of each variance forecast against realised range variance, over that of GARCH(1,1)-t: lower is better.
Log-HAR forecasts variance only.</p>
@@QLIKE@@
@@QLIKE_FOREST@@
<details><summary>all numbers</summary>@@VOLATILITY@@</details></section>

<section><h2>By market</h2>
<p class="muted">CRPS ratios with 90% intervals, and what the 90% interval covers.</p>
@@CATEGORIES@@</section>

@@TOKENS@@

<section><h2>How the numbers were made</h2>@@FACTS@@</section>
</main></body></html>
"""
)


def write_page(results: Results, path: Path) -> None:
    """Write the page of an evaluation's results."""
    write_text(path, evaluation_page(results))


def evaluation_page(results: Results) -> str:
    """Return the page of an evaluation's results."""
    from marketgpt_training.evaluation import figures

    drawn = {
        "FOREST": figures.forest_figure(results),
        "TIME": figures.time_figure(results),
        "COVERAGE": figures.coverage_figure(results),
        "PIT": figures.pit_figure(results),
        "RELIABILITY": figures.reliability_figure(results),
        "QLIKE": figures.qlike_figure(results),
        "QLIKE_FOREST": figures.forest_figure(results, section="volatility", key="qlike_ratio"),
    }
    values = {name: figure_div(figure, name.lower(), mode_bar=False) for name, figure in drawn.items()}
    symbols = results["symbols"]
    values |= {
        "MORE_CSS": _MORE_CSS,
        "TITLE": html.escape(f"Evaluation of {results['model_id']}"),
        "INTRO": html.escape(
            f"{len(symbols):,} symbols, {results['forecasts']:,} forecasts at every {results['every_sessions']} "
            f"sessions from {results['from']} to {results['to']}."
        ),
        "SUSPICIONS": "".join(
            f"<p class='worse'>Suspicious: {html.escape(one)}</p>" for one in results.get("suspicions", ())
        ),
        "VERDICTS": _verdicts(results),
        "DENSITY": _density(results),
        "CALIBRATION": _calibration(results),
        "DIRECTION": _direction(results),
        "VOLATILITY": _volatility(results),
        "CATEGORIES": _categories(results),
        "TOKENS": _tokens(results),
        "FACTS": html_table(("", ""), _facts(results), kind="prose"),
    }
    return fill(_PAGE, values)


def _verdicts(results: Results) -> str:
    """Return a sentence a baseline: at which horizons the model is better, worse, undecided."""
    first = next(iter(results["horizons"].values()))["against"]
    lines = []
    for name in first:
        groups: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
        for horizon, entry in results["horizons"].items():
            groups[entry["against"][name]["verdict"]].append(horizon)
        said = [
            f"<span class='{verdict}'>{verdict}</span> at {', '.join(horizons)}"
            for verdict, horizons in groups.items()
            if horizons
        ]
        lines.append(f"Against {html.escape(LABELS.get(name, name))}: {'; '.join(said)} bars.")
    return "<br>".join(lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _density(results: Results) -> str:
    rows = []
    for horizon, entry in results["horizons"].items():
        for name, scores in entry["models"].items():
            against = entry["against"].get(name)
            ratio = "" if against is None else _interval(against, "crps_ratio")
            p = "" if against is None else _number(against["dm_p"], ".3f")
            rows.append(
                (
                    f"{horizon}: {LABELS.get(name, name)}", f"{scores['count']:,}", f"{scores['crps']:.5f}", ratio, p,
                    _number(scores["wql"], ".4f"), _number(scores["nll"], ".4f"),
                    _number(scores.get("nll_closed"), ".4f"), f"{scores['pit_ks']:.3f}",
                )
            )  # fmt: skip
    headings = (
        "bars: forecaster", "forecasts", "CRPS", "CRPS of the model / its", "Diebold-Mariano p", "WQL", "NLL, nats",
        "NLL, closed law", "PIT KS",
    )  # fmt: skip
    return html_table(headings, rows)


def _interval(entry: Mapping[str, Any], key: str) -> str:
    return f"{entry[key]:.4f} [{entry['low']:.4f}, {entry['high']:.4f}] {entry['verdict']}"


def _calibration(results: Results) -> str:
    rows = []
    for horizon, entry in results["horizons"].items():
        scores = entry["models"]["model"]
        named = [(f"{float(s):.0%} interval", one) for s, one in scores["coverage_tests"].items()]
        named += [(f"VaR {float(level):.0%}", one) for level, one in scores["var"].items()]
        for label, one in named:
            rejected = _number(one["symbols_rejected"], ".1%")
            rows.append(
                (
                    f"{horizon}: {label}", f"{one['rate']:.2%} [{one['low']:.2%}, {one['high']:.2%}]",
                    f"{one['kupiec_p']:.3f}", f"{one['kupiec_p_naive']:.3f}", f"{one['design_effect']:.1f}",
                    _number(one.get("independence_p"), ".3f"), _number(one.get("conditional_p"), ".3f"),
                    f"{rejected} of {one['symbols_tested']}",
                )
            )  # fmt: skip
    headings = (
        "bars: what", "hits", "Kupiec p", "if independent", "design effect", "Christoffersen: independence p",
        "conditional p", "symbols rejected at 5%",
    )  # fmt: skip
    return html_table(headings, rows)


def _direction(results: Results) -> str:
    rows = []
    for horizon, entry in results["horizons"].items():
        for name, scores in entry["models"].items():
            beside, parts, ic = scores["beside_always_up"], scores["brier_parts"], scores["rank_ic"]
            rows.append(
                (
                    f"{horizon}: {LABELS.get(name, name)}", f"{scores['direction_accuracy']:.1%}",
                    f"{100 * beside['difference']:+.1f} [{100 * beside['low']:+.1f}, {100 * beside['high']:+.1f}]",
                    f"{beside['mcnemar_p']:.3f}", _number(scores["auc"], ".3f"), f"{scores['brier']:.4f}",
                    f"{parts['reliability']:.4f} / {parts['resolution']:.4f}",
                    f"{scores['ece']:.3f} / {_number(scores['ece_floor'], '.3f')}",
                    f"{scores['tercile_accuracy']:.1%}", f"{scores['tercile_rps']:.4f}",
                    "-" if ic is None else f"{ic['mean']:+.3f} (t {_number(ic['t'], '+.1f')})",
                )
            )  # fmt: skip
    headings = (
        "bars: forecaster", "right", "less always up, points", "McNemar p", "AUC", "Brier",
        "reliability / resolution", "ECE / chance", "terciles right", "RPS", "RankIC",
    )  # fmt: skip
    return html_table(headings, rows)


def _volatility(results: Results) -> str:
    rows = []
    for horizon, entry in results["horizons"].items():
        section = entry["volatility"]
        for name, scores in section["models"].items():
            against = section["against"].get(name)
            rows.append(
                (
                    f"{horizon}: {LABELS.get(name, name)}", f"{scores['qlike']:.4f}",
                    "" if against is None else _interval(against, "qlike_ratio"), f"{scores['mae']:.5f}",
                    f"{scores['bias']:.2f}",
                )
            )  # fmt: skip
    headings = (
        "bars: forecaster",
        "QLIKE",
        "QLIKE of the model / its",
        "MAE of the deviation",
        "mean forecast / mean came",
    )
    return html_table(headings, rows)


def _categories(results: Results) -> str:
    rows = []
    for horizon, entry in results["horizons"].items():
        for category, part in entry["categories"].items():
            ratios = [_interval(part["against"][name], "crps_ratio") for name in ("garch_t", "ewma_fhs")]
            covered = part["coverage"]["0.90"]
            rows.append(
                (
                    f"{horizon}: {category}", part["symbols"], f"{part['count']:,}", *ratios,
                    f"{covered['rate']:.1%} [{covered['low']:.1%}, {covered['high']:.1%}]",
                )
            )  # fmt: skip
    headings = (
        "bars: market",
        "symbols",
        "forecasts",
        "CRPS / GARCH(1,1)-t",
        "CRPS / EWMA-FHS",
        "90% covers",
    )
    return html_table(headings, rows)


def _tokens(results: Results) -> str:
    if "tokens" not in results:
        return ""
    section = results["tokens"]
    names = [name for name in section["cross_entropy"]["model"] if name != "total"]
    rows = []
    for name, entropy in section["cross_entropy"].items():
        against = section["against"].get(name)
        less = (
            ""
            if against is None
            else f"{against['difference']:+.4f} [{against['low']:+.4f}, {against['high']:+.4f}] {against['verdict']}"
        )
        hits = section["top1"][name]
        rows.append(
            (
                name, f"{entropy['total']:.4f}", less, *(f"{entropy[one]:.4f}" for one in names),
                f"{hits['total']:.1%}",
            )
        )  # fmt: skip
    table = html_table(("law", "nats a candle", "model less it", *names, "top-1"), rows)
    density = section["density"]
    said = (
        f" As a density of log returns: {density['nats_a_candle']:.4f} nats a candle [{density['low']:.4f}, "
        f"{density['high']:.4f}], a move next to zero counted as one event."
    )
    text = f"Cross-entropy of the tokens that came in {section['candles']:,} candles.{said}"
    return f"<section><h2>Tokens</h2><p class='muted'>{html.escape(text)}</p>{table}</section>"


def _facts(results: Results) -> list[tuple[str, str]]:
    fits = "; ".join(
        f"{LABELS.get(name, name)}: {counts['fits']:,} fits"
        + (f", {counts['not_converged']} not converged" if "not_converged" in counts else "")
        for name, counts in results["baseline_fits"].items()
    )
    return [
        ("model", results["model_id"]),
        ("candles", results["data_fingerprint"]),
        ("symbols", ", ".join(results["symbols"])),
        ("samples", f"{results['num_samples']} a forecast of the model, {results['baseline_paths']:,} paths of a baseline without a closed law"),
        ("baselines", fits),
        ("intervals", f"{results['interval_level']:.0%}, circular bootstrap of blocks of dates, all symbols of a date together"),
    ]  # fmt: skip
