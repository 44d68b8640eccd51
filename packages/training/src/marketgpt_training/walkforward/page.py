"""A comparison of folds as tables for a terminal and one HTML page with its pictures."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marketgpt_core.files import write_text
from marketgpt_core.web.drawing import PAGE_HEAD, figure_div, fill, html_table

Comparison = Mapping[str, Any]

# ruff: noqa: E501 - prose in HTML is wrapped by the browser
_PAGE = (
    PAGE_HEAD
    + """
<section><h2>Which dates</h2>
<p class="muted">Each fold is trained on what lies before it, chosen on the years after, tested on what comes then; between
the parts lies an embargo of the longest horizon.</p>
@@DATES@@@@FOLDS@@</section>

<section><h2>Out of sample: CRPS beside GARCH(1,1)-t</h2>
<p class="muted">By fold, with 90% intervals from a bootstrap of whole dates; below the dotted line the model is better. The last
point pools the folds by their inverse variance. Cochran's Q asks whether the folds differ beyond chance.</p>
@@CRPS@@@@CONSISTENCY@@</section>

<section><h2>In sample against out of sample</h2>
<p class="muted">Nats a candle less than counting tokens would need, so that easy and hard years compare; higher is better. In
sample is the end of the training part, as long as the validation part. What falls from left to right is what was
learnt by heart.</p>
@@LOSSES@@@@LOSS_TABLE@@</section>

<section><h2>Calibration</h2>
<p class="muted">What the 50% and 90% intervals cover, by fold and horizon.</p>
@@COVERAGE@@</section>

<section><h2>Drift between folds</h2>
<p class="muted">CRPS of an older fold's model on a later block, over that of the newest model: above 1 the old one has aged.</p>
@@AGEING@@
<p class="muted">Population stability index of the tokens, training part against test block: by custom below 0.1 nothing has moved,
above 0.25 much.</p>
@@DRIFT@@</section>

<section><h2>An ensemble of the folds</h2>
<p class="muted">On each block the mixture of all models known by then, over the newest alone: below 1 the mixture is better.</p>
@@ENSEMBLE@@</section>
</main></body></html>
"""
)


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page of a walk-forward's comparison."""
    write_text(path, comparison_page(comparison))


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a walk-forward's comparison."""
    from marketgpt_training.walkforward import figures

    folds = comparison["folds"]
    drawn = {
        "DATES": figures.dates_figure(folds),
        "CRPS": figures.crps_figure(comparison),
        "LOSSES": figures.losses_figure(folds),
        "AGEING": figures.ageing_figure(comparison["ageing"], len(folds)),
    }
    values = {name: figure_div(figure, name.lower(), mode_bar=False) for name, figure in drawn.items()}
    tables = {
        "FOLDS": fold_rows(comparison),
        "CONSISTENCY": consistency_rows(comparison),
        "LOSS_TABLE": loss_rows(comparison),
        "COVERAGE": coverage_rows(comparison),
        "DRIFT": drift_rows(comparison),
        "ENSEMBLE": ensemble_rows(comparison),
    }
    values |= {name: html_table(rows[0], rows[1:]) for name, rows in tables.items()}
    values |= {
        "TITLE": html.escape(f"Walk-forward: {len(folds)} folds, {comparison['window']} window"),
        "INTRO": html.escape(
            f"{folds[0]['train_from']} to {folds[-1]['test_to']}, "
            f"{sum(one['forecasts'] for one in folds):,} forecasts out of sample."
        ),
    }
    return fill(_PAGE, values)


Rows = list[list[str]]


def fold_rows(comparison: Comparison) -> Rows:
    """Return dates and sizes, the headings first."""
    rows = [["fold", "trained", "validated until", "tested", "train candles", "steps", "best epoch"]]
    rows += [
        [
            str(one["fold"]), f"{one['train_from']} to {one['train_until']}", one["validation_until"],
            f"{one['test_from']} to {one['test_to']}", f"{one['train_candles']:,}", f"{one['steps']:,}",
            str(one["best_epoch"]),
        ]
        for one in comparison["folds"]
    ]  # fmt: skip
    return rows


def consistency_rows(comparison: Comparison) -> Rows:
    """Return CRPS over GARCH-t by fold and horizon, pooled, and whether folds differ beyond chance."""
    together = comparison["consistency"]
    rows = [["bars", *together]]
    rows += [
        [f"fold {fold['fold']}", *(starred(fold["crps"][horizon]) for horizon in together)]
        for fold in comparison["folds"]
    ]
    summary: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "pooled": starred,
        "90% from": lambda one: f"{one['low']:.4f}",
        "to": lambda one: f"{one['high']:.4f}",
        "better in": lambda one: f"{one['better_folds']} of {one['folds']}",
        "Q's p": lambda one: f"{one['q_p']:.3f}",
        "I squared": lambda one: f"{one['i_squared']:.0%}",
    }
    return [*rows, *([name, *(said(one) for one in together.values())] for name, said in summary.items())]


def loss_rows(comparison: Comparison) -> Rows:
    """Return nats a candle in sample, validated and tested, and what counting would need more."""
    parts = ("train", "validation", "test")
    rows = [["fold", *(f"{part} nats" for part in parts), *(f"{part} gain" for part in parts)]]
    for one in comparison["folds"]:
        losses = [one["losses"].get(part) for part in parts]
        rows.append(
            [
                str(one["fold"]),
                *("-" if loss is None else f"{loss['nats_a_candle']:.3f}" for loss in losses),
                *("-" if gain is None else f"{gain:.3f}" for gain in map(gain_of, losses)),
            ]
        )
    return rows


def gain_of(loss: Mapping[str, Any] | None) -> float | None:
    """Return the nats a candle won over counting tokens."""
    difference = None if loss is None else loss["over_unigram"].get("difference")
    return None if difference is None else -float(difference)


def coverage_rows(comparison: Comparison) -> Rows:
    """Return what the 50% and 90% intervals cover."""
    horizons = list(comparison["consistency"])
    rows = [["fold", *(f"{share}% at {h}" for share in (50, 90) for h in horizons)]]
    rows += [
        [
            str(one["fold"]),
            *(f"{one['coverage'][h][share]:.1%}" for share in ("0.50", "0.90") for h in horizons),
        ]
        for one in comparison["folds"]
    ]
    return rows


def drift_rows(comparison: Comparison) -> Rows:
    """Return the stability index of each channel's tokens."""
    channels = list(comparison["folds"][0]["drift"])
    rows = [["fold", *channels]]
    rows += [
        [str(one["fold"]), *(f"{one['drift'][name]:.3f}" for name in channels)] for one in comparison["folds"]
    ]
    return rows


def ensemble_rows(comparison: Comparison) -> Rows:
    """Return the mixture of all folds so far over the newest alone, by block and pooled."""
    rows = [["block", "CRPS of the mixture over the newest's", "90% interval"]]
    named = [*((str(one["block"]), one) for one in comparison["ensemble"])]
    for name, one in [*named, ("pooled", comparison["ensemble_pooled"])]:
        rows.append([name, starred(one), f"{one['low']:.4f} to {one['high']:.4f}"])
    return rows


def starred(one: Mapping[str, Any]) -> str:
    """Return a ratio, with a star where its interval excludes 1."""
    return f"{one['ratio']:.4f}" + ("" if one["verdict"] == "undecided" else "*")


def comparison_tables(comparison: Comparison) -> Iterator[Any]:
    """Yield the tables of a comparison for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    def table(title: str, rows: Sequence[Sequence[str]]) -> Table:
        made = Table(
            title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
        )
        for heading in rows[0]:
            made.add_column(heading, justify="right")
        for row in rows[1:]:
            made.add_row(*row)
        return made

    yield table(
        "CRPS over GARCH(1,1)-t out of sample; * the 90% interval excludes 1", consistency_rows(comparison)
    )
    yield table(
        "Nats a candle, and gain over counting tokens: in sample, validated, tested", loss_rows(comparison)
    )
    yield table("The mixture of all folds so far over the newest alone", ensemble_rows(comparison))
