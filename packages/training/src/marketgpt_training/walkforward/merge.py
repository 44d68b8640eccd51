"""Folds compared: what each reaches in sample and out, how models age, what mixing them is worth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_json
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.forecast_pool import pooled
from marketgpt_core.run import MANIFEST, Run
from marketgpt_core.times import iso
from marketgpt_training.evaluation import RESULTS_FILE
from marketgpt_training.evaluation.evaluate import as_of_dates
from marketgpt_training.evaluation.of_run import token_laws_of
from marketgpt_training.evaluation.paired import returns_compared
from marketgpt_training.evaluation.tokens import token_section
from marketgpt_training.loading import load_candles
from marketgpt_training.splits import Split, split_dates
from marketgpt_training.walkforward.plan import Plan, fold_folder, read_plan
from marketgpt_training.walkforward.scores import (
    BASELINE,
    consistency,
    pooled_ratio,
    stability_index,
)

COMPARISON_FILE = "comparison.json"
ENSEMBLE = "ensemble"
_FEWEST_CANDLES = 2


def merge(folder: Path, *, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Compare the finished folds, write ``comparison.json`` and a page, and make an ensemble of them.

    Args:
        folder: Of the walk-forward.
        on_stage: Told what is being done.

    Returns:
        ``folds`` (dates, losses in sample, validated and tested, CRPS beside GARCH-t, coverage, drift),
        ``consistency`` by horizon, ``ageing`` (older models beside the newest) and ``ensemble`` (the mixture
        of all models known at the time beside the newest).

    Raises:
        RunError: when a fold is not finished; the message names all that are not.
    """
    from marketgpt_models.ensemble import make_ensemble
    from marketgpt_training.walkforward.page import write_comparison

    plan = read_plan(folder)
    runs = _finished(plan, folder)
    rows, forecasts = [], {}
    forecasters = [_forecaster(run) for run in runs]
    for fold, run in zip(plan.folds, runs, strict=True):
        on_stage(f"fold {fold.number} of {len(runs)}: losses and forecasts of {fold.number} models")
        config = plan.config_of(fold.number)
        candles = load_candles(config)
        rows.append(_row(plan, run, forecasters[fold.number - 1], candles, fold.number))
        start = split_dates(config.split, candles).test_start
        dates = as_of_dates(candles, start, _moment(fold.test_until), config.evaluation.every)
        forecasts[fold.number] = (
            candles,
            [_forecast(one, candles, dates, config) for one in forecasters[: fold.number]],
        )
    on_stage("older models and ensembles beside the newest")
    comparison = {
        "format": 1,
        "window": plan.window,
        "preset_source": plan.config.data.source,
        "folds": rows,
        "consistency": consistency(rows),
        **_older(forecasts, plan.config.evaluation.every),
    }
    target = folder / ENSEMBLE
    if not (target / MANIFEST).exists():
        # The newest first: evaluated is what none of them knows.
        make_ensemble([run.path for run in reversed(runs)], target)
    write_json(folder / COMPARISON_FILE, comparison)
    write_comparison(comparison, folder / "comparison.html")
    return comparison


def _finished(plan: Plan, folder: Path) -> list[Run]:
    folders = {fold.number: fold_folder(folder, fold.number) for fold in plan.folds}
    runs, missing = [], []
    for number, path in folders.items():
        run = Run.open(path) if (path / MANIFEST).exists() else None
        if run is None or RESULTS_FILE not in run.manifest["files"]:
            missing.append(str(number))
        else:
            runs.append(run)
    if missing:
        raise RunError(f"{folder}: folds not finished: {', '.join(missing)} of {len(folders)}")
    return runs


def _forecaster(run: Run) -> Forecaster:
    from marketgpt_models.forecaster import load_forecaster

    return load_forecaster(run.path)


def _forecast(one: Forecaster, candles: Candles, dates: list[np.datetime64], config: Any) -> Forecast:  # noqa: ANN401 - a TrainConfig
    made = one.forecast(
        candles,
        horizons=config.evaluation.horizons,
        as_of=dates,
        num_samples=config.evaluation.num_samples,
    )
    return made.rows(made.as_of >= dates[0])


def _moment(day: Any) -> np.datetime64 | None:  # noqa: ANN401 - a date or nothing
    return None if day is None else np.datetime64(day, "ns")


def _row(plan: Plan, run: Run, forecaster: Forecaster, candles: Candles, number: int) -> dict[str, Any]:
    """Return what is said of one fold."""
    fold, config = plan.folds[number - 1], plan.config_of(number)
    split = split_dates(config.split, candles)
    summary, results = run.json("training_summary.json"), run.json(RESULTS_FILE)
    return {
        "fold": number,
        "run": run.path.name,
        "run_id": run.id,
        "train_from": iso(min(one.time[0] for one in candles.values())),
        "train_until": str(fold.train_until),
        "validation_until": str(fold.validation_until),
        "test_from": results["from"],
        "test_to": results["to"],
        "train_candles": summary["train_candles"],
        "steps": summary["steps"],
        "best_epoch": summary["best_epoch"],
        "forecasts": results["forecasts"],
        "losses": _losses(run, forecaster, candles, split, _moment(fold.test_until)),
        "crps": {
            h: {
                "ratio": entry["against"][BASELINE]["crps_ratio"],
                **{key: entry["against"][BASELINE][key] for key in ("low", "high", "verdict")},
                "crps": entry["models"]["model"]["crps"],
            }
            for h, entry in results["horizons"].items()
        },
        "coverage": {
            h: {share: one["rate"] for share, one in entry["models"]["model"]["coverage_tests"].items()}
            for h, entry in results["horizons"].items()
        },
        "drift": _drift(run, candles, split),
    }


def _losses(
    run: Run, forecaster: Forecaster, candles: Candles, split: Split, test_until: np.datetime64 | None
) -> dict[str, Any]:
    """Return nats a candle in sample (as long as the validation part), validated and tested.

    Beside each stands the difference from counting tokens: parts of other years are not equally hard.
    """
    length = split.validation_end - split.validation_start
    parts = {
        "train": (split.train_end - length, split.train_end),
        "validation": (split.validation_start, split.validation_end),
        "test": (split.test_start, test_until),
    }
    laws = token_laws_of(run, candles)
    result = {}
    for name, (start, end) in parts.items():
        told = token_section(forecaster, candles, start=start, end=end, laws=lambda: laws, seed=0)
        if told:
            skill = told["against"].get("unigram", {})
            result[name] = {
                "nats_a_candle": told["cross_entropy"]["model"]["total"],
                "candles": told["candles"],
                "over_unigram": {key: skill[key] for key in ("difference", "low", "high") if key in skill},
            }
    return result


def _drift(run: Run, candles: Candles, split: Split) -> dict[str, float]:
    """Return the population stability index of each channel's tokens, training part against test block."""
    from marketgpt_core.tokens import load_tokenizer

    tokenizer = load_tokenizer(run.file("tokenizer.json"))
    counts = [[np.zeros(size) for size in tokenizer.vocab_sizes] for _ in range(2)]
    encoded = [tokenizer.encode(one) for one in candles.values() if len(one) > _FEWEST_CANDLES]
    for one in encoded:
        for side, rows in enumerate((one.time < split.train_end, one.time >= split.test_start)):
            for k, size in enumerate(tokenizer.vocab_sizes):
                column = one.tokens[rows, k].astype(np.int64)
                counts[side][k] += np.bincount(column, minlength=size)
    return {
        name: stability_index(counts[0][k], counts[1][k]) for k, name in enumerate(tokenizer.channel_names)
    }


def _older(forecasts: dict[int, tuple[Candles, list[Forecast]]], every: int) -> dict[str, Any]:
    """Compare, on every block, older folds' models and the mixture of all so far with the newest model."""
    ageing, mixtures = [], []
    for block, (candles, made) in forecasts.items():
        newest = made[-1]
        for model, forecast in enumerate(made[:-1], start=1):
            told = returns_compared(forecast, newest, candles, every=every)
            ageing.append({"model": model, "block": block, "age": block - model, **_short(told)})
        if len(made) > 1:
            mixture = pooled(made, model_id="folds so far")
            mixtures.append(
                {"block": block, **_short(returns_compared(mixture, newest, candles, every=every))}
            )
    ages = sorted({one["age"] for one in ageing})
    return {
        "ageing": ageing,
        "ageing_pooled": {
            str(age): pooled_ratio([one for one in ageing if one["age"] == age]) for age in ages
        },
        "ensemble": mixtures,
        "ensemble_pooled": pooled_ratio(mixtures),
    }


def _short(told: dict[str, Any]) -> dict[str, Any]:
    return {key: told[key] for key in ("ratio", "low", "high", "verdict")}
