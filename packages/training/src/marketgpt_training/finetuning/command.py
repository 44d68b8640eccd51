"""``marketgpt finetune``."""

from __future__ import annotations

from pathlib import Path

import click

from marketgpt_core.cli.options import json_option, progress_console

_MARKETS = ("us", "eu", "em", "commodity", "crypto", "fx", "etf", "index")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--market", type=click.Choice(_MARKETS), required=True, help="What to specialise in.")
@click.option(
    "--method", type=click.Choice(("full", "lora", "heads")), default="full", show_default=True,
    help="Learn a difference from every weight, one of low rank, or the heads alone.",
)  # fmt: skip
@click.option("--source", help="Other candles than RUN's own: name or name:location.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Ranks here.")
@click.option("--resume", is_flag=True, help="Go on from run_dir's newest checkpoint, if it has one.")
@click.option("--evaluate/--no-evaluate", "do_evaluate", default=True, help="Evaluate on the test part.")
@json_option
@click.argument("overrides", nargs=-1)
def finetune(
    *,
    run: Path,
    market: str,
    method: str,
    source: str | None,
    processes: int,
    resume: bool,
    do_evaluate: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Fine-tune RUN for one market; the result is kept only if it is better there.

    The first part of validation chooses among the weights, its end decides: a paired test against RUN, on
    returns (CRPS) or, with finetune.accept_on=nll, on candles. Refused, the new run forecasts as RUN does,
    and finetune.json says why. OVERRIDES are key.sub=value, for example split.train_until=2021-01-01 to
    learn from later years than RUN did; run_dir=DIR says where to write.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.run import Run
    from marketgpt_training.cli import run_dir_of, train_and_evaluate
    from marketgpt_training.finetuning.outcome import FINETUNE_FILE
    from marketgpt_training.finetuning.settings import finetune_config

    folder, rest = run_dir_of(overrides)
    given = (*((f"data.source={source}",) if source else ()), *rest)
    config = finetune_config(run, market=market, method=method, overrides=given)
    folder = folder or Path("runs") / f"{run.name}_{market}_{SystemClock().now():%Y%m%d_%H%M%S}"

    def told() -> None:
        outcome = Run.open(folder).json(FINETUNE_FILE)
        word = "accepted" if outcome["accepted"] else "refused, the base stays"
        progress_console().print(f"{word}: {outcome['reason']}", highlight=False)

    train_and_evaluate(
        config, folder, processes=processes, resume=resume, do_evaluate=do_evaluate, as_json=as_json,
        on_trained=told,
    )  # fmt: skip
