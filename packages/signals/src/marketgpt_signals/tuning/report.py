"""What came of tuning: in words that do not flatter, as a table, as JSON."""

from __future__ import annotations

from typing import Any

import click

from marketgpt_core.times import iso
from marketgpt_signals.backtest.metrics import plain
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.tables import print_table
from marketgpt_signals.tuning.judge import Judged
from marketgpt_signals.tuning.search import Found, Question
from marketgpt_signals.tuning.study import best_of

SIGNIFICANT = 0.95
_ROWS = ("total_return", "sharpe", "max_drawdown", "turnover_per_year", "exposure")
_SHARES = ("total_return", "max_drawdown", "exposure")


def verdict(question: Question, found: Found, judged: Judged) -> list[str]:
    """Return the findings, a sentence each, losses as plainly as wins."""
    best, objective = best_of(found.tried), question.config.objective
    way = "lower bound" if question.config.by_lower_bound else "mean"
    ours, theirs = found.walk_forward()
    num_folds = len(found.period.folds)
    held = question.config.goal.score([fold.hold for fold in found.defaults.folds])
    first = (
        f"Tuning period: {objective} {best.score:.2f} by the best of {len(found.tried)} trials, "
        f"{found.defaults.score:.2f} by the defaults, {held:.2f} by holding ({way} of {num_folds} folds)."
    )
    told = [first]
    if best.score <= found.defaults.score:
        told.append("Nothing that was tried beats the defaults even there.")
    if best.score <= held:
        told.append("Nothing that was tried beats holding even there.")
    told.append(
        f"Choosing by the folds before alone: {objective} {ours:.2f} on the folds that followed, "
        f"{theirs:.2f} by the defaults."
    )
    if judged.searched is not None:
        share = judged.searched.probability
        word = "is not" if share < SIGNIFICANT else "is"
        told.append(
            f"Charged with {judged.searched.num_trials} trials that traded differently, the best one's "
            f"Sharpe ratio there exceeds what luck finds with probability {share:.1%}: against cash, it "
            f"{word} significant at {SIGNIFICANT:.0%}."
        )
    told.append(_out_of_sample(judged))
    if judged.num_looks:
        told.append(
            f"{judged.num_looks} other studies were judged on this held-out period before: it is no longer "
            "unseen."
        )
    return told


def _out_of_sample(judged: Judged) -> str:
    gap, bounds = judged.difference, judged.interval
    if gap is None:
        return "Held out: one of the two never traded; nothing can be said of which is better."
    between = f", 90% interval {bounds[0]:+.2f} to {bounds[1]:+.2f}" if bounds else ""
    told = f"Held out: Sharpe ratio {gap:+.2f} against the defaults{between}."
    if judged.is_better:
        return f"{told} The tuned options are better."
    if gap > 0:
        return f"{told} The tuned options are not shown to be better than the defaults."
    return f"{told} The tuned options are not better than the defaults."


def print_report(question: Question, found: Found, judged: Judged) -> None:
    """Print what was chosen, what it was worth on the held-out period, and the verdict."""
    best = best_of(found.tried)
    chosen = " ".join(f"{name}={_short(value)}" for name, value in best.options.items())
    start, end = (iso(judged.chosen.time[row]) for row in (0, -1))
    click.echo(f"study {found.study}: {chosen}")
    click.echo(f"held out, {start} to {end}; [90%] intervals")
    columns = {"tuned": judged.chosen, "defaults": judged.defaults}
    rows = [("", *columns, "buy and hold")]
    for name in _ROWS:
        cells = [_cell(result, name) for result in columns.values()]
        hold = judged.chosen.hold
        held = _shown(getattr(hold, name), hold.intervals.get(name), name) if hasattr(hold, name) else ""
        rows.append((name.replace("_", " "), *cells, held))
    print_table(rows)
    probability, deflated = judged.chosen.net.probabilistic_sharpe, judged.deflated
    if probability is not None and deflated is not None:
        click.echo(
            f"tuned: P(Sharpe > 0) {probability:.1%}; deflated by {deflated.num_trials} trials "
            f"{deflated.probability:.1%}"
        )
    click.echo()
    for sentence in verdict(question, found, judged):
        click.echo(sentence)


def _cell(result: BacktestResult, name: str) -> str:
    told = result.net if hasattr(result.net, name) else result
    return _shown(getattr(told, name), told.intervals.get(name), name)


def _shown(value: float | None, bounds: tuple[float, float] | None, name: str) -> str:
    kind = ".1%" if name in _SHARES else ".2f"
    between = f" [{bounds[0]:{kind}}, {bounds[1]:{kind}}]" if bounds else ""
    return "-" if value is None else f"{value:{kind}}{between}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def report_json(question: Question, found: Found, judged: Judged) -> dict[str, Any]:
    """Return everything as JSON values."""
    ours, theirs = found.walk_forward()
    told: dict[str, Any] = plain(
        {
            "study": found.study,
            "strategy": question.strategy,
            "config": question.config.model_dump(mode="json"),
            "space": {name: str(one) for name, one in question.space.items()},
            "folds": [
                {
                    "start": iso(fold.start),
                    "end": iso(fold.end),
                    "chosen": ours_.value,
                    "defaults": theirs_.value,
                    "hold": theirs_.hold,
                }
                for fold, ours_, theirs_ in zip(
                    found.period.folds, found.chosen.folds, found.defaults.folds, strict=True
                )
            ],
            "num_purged": found.period.num_purged,
            "num_trials": len(found.tried),
            "num_before": found.num_before,
            "best": dict(best_of(found.tried).options),
            "options": dict(found.chosen.options),
            "score": found.chosen.score,
            "default_score": found.defaults.score,
            "walk_forward": {"chosen": ours, "defaults": theirs},
            "deflated_in_tuning": _deflated(judged.searched),
            "deflated_held_out": _deflated(judged.deflated),
            "held_out": {
                "chosen": judged.chosen.to_json(series=False),
                "defaults": judged.defaults.to_json(series=False),
                "sharpe_difference": judged.difference,
                "sharpe_difference_interval": judged.interval,
                "is_better": judged.is_better,
                "earlier_looks": judged.num_looks,
            },
            "verdict": verdict(question, found, judged),
        }
    )
    return told


def _deflated(one: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a DeflatedSharpe or None
    from dataclasses import asdict

    return None if one is None else asdict(one)
