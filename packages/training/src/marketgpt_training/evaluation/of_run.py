"""Evaluating a run folder: on its own test part, or on any other candles."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.cli.options import progress_console
from marketgpt_core.config import load_config, read_toml
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_json
from marketgpt_core.run import Run
from marketgpt_training.config import TrainConfig
from marketgpt_training.evaluation import RESULTS_FILE
from marketgpt_training.evaluation.evaluate import Evaluation, evaluate
from marketgpt_training.evaluation.tokens import TokenLaws
from marketgpt_training.splits import split_dates

_FEWEST_CANDLES = 2


def run_config(run: Run) -> TrainConfig:
    """Return the resolved configuration of a run."""
    path = run.file("config.toml")
    return load_config(TrainConfig, read_toml(path), where=str(path))


def evaluate_run(
    folder: Path,
    *,
    source: str | None = None,
    symbols: tuple[str, ...] = (),
    start: str | None = None,
    end: str | None = None,
    every: int | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    record: bool = True,
    html: Path | None = None,
) -> dict[str, Any]:
    """Evaluate a sealed run and return the results.

    Args:
        folder: The run's folder.
        source: Other candles than the run's own.
        symbols: Only these; the default is all, of a fine-tuned run those of its market.
        start: First as-of date; the default is the first date after the run's validation and embargo, also
            for other candles: what the model trained on was dated before.
        end: First as-of date left out; the default is the run's own, on its own candles.
        every: Sessions between forecasts; the default is the run's own.
        num_samples: Samples a forecast; the default is the run's own.
        seed: Seed of the samples.
        record: Write ``test_results.json`` into the folder and seal it anew.
        html: Write a page with the pictures here, too.
    """
    from marketgpt_data_sources import load_candles

    run = Run.open(folder)
    config = run_config(run)
    own = source is None
    whole = (config.data.symbols if own else ()) or None
    # A model that reads the market's state is told of all of it, whichever symbols are asked for.
    reads_market = "market" in config.covariates
    known = load_candles(
        source or config.data.source,
        symbols=whole if reads_market else symbols or whole,
        start=config.data.start if own else None,
        end=config.data.end if own else None,
        interval=config.data.interval,
    )
    if own and not symbols and config.finetune is not None:
        # What it was made for; the other markets are there to be read, and asked for by name.
        symbols = symbols_of_market(known, config.finetune.market)
    candles = Candles(known[symbol] for symbol in symbols) if symbols else known
    if len(candles) == len(known):
        candles = known
    evaluation = evaluate_candles(
        run,
        candles,
        start=start,
        end=end or (_text(config.evaluation.until) if own else None),
        every=every,
        num_samples=num_samples,
        seed=seed,
        market=None if candles is known else known,
    )
    if record and config.finetune is not None:
        evaluation.results["against_base"] = _against_base(run, config, known)
    if record:
        record_results(run, evaluation.results)
    if html is not None:
        from marketgpt_training.evaluation.page import write_page

        write_page(evaluation.results, html)
    return evaluation.results


def symbols_of_market(candles: Candles, market: str) -> tuple[str, ...]:
    """Return the symbols of one market."""
    return tuple(one.symbol for one in candles.values() if str(one.category) == str(market))


def _against_base(run: Run, config: TrainConfig, candles: Candles) -> dict[str, Any] | None:
    """Compare a fine-tuned run with its base; None where the base is no longer where it was."""
    from marketgpt_training.finetuning.outcome import compare_on_test

    try:
        return compare_on_test(run, config, candles)
    except RunError:
        return None


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def evaluate_candles(
    run: Run,
    candles: Candles,
    *,
    start: str | None = None,
    end: str | None = None,
    every: int | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    market: Candles | None = None,
) -> Evaluation:
    """Evaluate a sealed run on given candles; see :func:`evaluate_run` and :func:`evaluate`."""
    from marketgpt_models.forecaster import load_forecaster

    config = run_config(run)
    console = progress_console()
    began = time.monotonic()

    def on_stage(stage: str) -> None:
        console.print(f"evaluate: {stage} ({time.monotonic() - began:.0f} s)", highlight=False, style="dim")

    return evaluate(
        load_forecaster(run.path, **config.evaluation.forecaster),
        candles,
        start=start or split_dates(config.split, candles).test_start,
        end=end,
        horizons=config.evaluation.horizons,
        every=every or config.evaluation.every,
        num_samples=num_samples or config.evaluation.num_samples,
        seed=seed,
        market=market,
        token_laws=lambda: token_laws_of(run, candles),
        on_stage=on_stage,
    )


def token_laws_of(run: Run, candles: Candles) -> TokenLaws | None:
    """Count the tokens of a run's training part; None without a candle of it.

    Args:
        run: The run: its tokenizer, its split.
        candles: Counted are those dated before the run's training ended, so that other candles than the
            run's own stand beside counts of their own past.
    """
    from marketgpt_core.tokens import load_tokenizer

    tokenizer = load_tokenizer(run.file("tokenizer.json"))
    part = candles.between(None, np.datetime64(run_config(run).split.train_until, "ns"))
    sequences = [tokenizer.encode(one).tokens for one in part.values() if len(one) > _FEWEST_CANDLES]
    return TokenLaws.fit(sequences, tokenizer.vocab_sizes) if sequences else None


def record_results(run: Run, results: dict[str, Any]) -> Run:
    """Write ``test_results.json`` into a run and seal it anew; the model's identity stays."""
    write_json(run.path / RESULTS_FILE, results)
    return Run.seal(run.path, data_fingerprint=run.data_fingerprint)
