"""A run's model card: what it is, what it saw, what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.times import iso
from marketgpt_training.config import TrainConfig


def model_card(
    config: TrainConfig,
    candles: Candles,
    summary: Mapping[str, Any],
    outcome: Mapping[str, Any] | None = None,
) -> str:
    """Return the card as Markdown.

    Args:
        config: The run's configuration.
        candles: All candles of the run.
        summary: ``training_summary.json``.
        outcome: ``finetune.json`` of a fine-tuned run.
    """
    rows = "\n".join(
        f"| {one.symbol} | {one.category} | {iso(one.time[0])} | {iso(one.time[-1])} | {len(one):,} |"
        for one in candles.values()
    )
    split = summary["split"]
    return f"""# {config.model.name}: {summary["num_parameters"]:,} parameters

Trained on {summary["train_candles"]:,} candles before {split["train_end"]}, chosen by its loss on
{summary["validation_candles"]:,} candles from {split["validation_start"]} to {split["validation_end"]}
({summary["best_nll"]:.4f} nats a candle in epoch {summary["best_epoch"]}), tested only on what is dated
{split["test_start"]} and later. Seed {config.seed}.
{_finetuned(outcome)}
| symbol | category | first | last | candles |
| --- | --- | --- | --- | --- |
{rows}

Source: `{config.data.source}`. Test results, if evaluated, stand in `test_results.json`.

## Limits

It forecasts distributions of returns, not prices to trade at. Daily direction is close to a coin toss for
it as for anyone; what it knows is volatility and the shape of the distribution. It has not seen markets
unlike those above. Nothing here is investment advice.
"""


def _finetuned(outcome: Mapping[str, Any] | None) -> str:
    if outcome is None:
        return ""
    kept = (
        "What was learned is kept"
        if outcome["accepted"]
        else "What was learned was refused: this is the base"
    )
    whence = f"Fine-tuned for {outcome['market']} ({outcome['method']}) from the run {outcome['base']['id']}."
    return f"\n{whence} {kept}; {outcome['reason']}.\n"
