"""The end of fine-tuning: the result is kept if it is better than its base where neither was chosen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.clock import Clock
from marketgpt_core.errors import RunError
from marketgpt_core.files import write_json
from marketgpt_core.run import Run
from marketgpt_models.forecaster_file import FORECASTER_JSON
from marketgpt_training.config import FinetuneConfig, TrainConfig
from marketgpt_training.evaluation.of_run import symbols_of_market
from marketgpt_training.evaluation.paired import FEWEST_BLOCKS, compare
from marketgpt_training.recalibrate import recalibrate
from marketgpt_training.splits import choosing_end, deciding_start, sessions, split_dates

if TYPE_CHECKING:
    from marketgpt_training.preparation import Prepared

FINETUNE_FILE = "finetune.json"
_MODEL_FILES = ("model.json", "model.safetensors", "tokenizer.json")
_CANDIDATE = "candidate"
_BASE = "base"
_MOST_DATES = 250


def decide(
    config: TrainConfig, prepared: Prepared, candidate: Run, *, clock: Clock | None = None
) -> dict[str, Any]:
    """Compare a candidate with its base on the end of the validation part, which chose neither.

    Both get their spreads put right on the part that chose the candidate's weights, so that neither has an
    advantage from it.

    Args:
        config: Of the fine-tuning.
        prepared: Its data.
        candidate: The fine-tuned model, a sealed run.
        clock: Tells when.

    Returns:
        What ``finetune.json`` says: ``accepted``, ``reason``, the base, the method and the comparison.
    """
    from marketgpt_models.forecaster import load_forecaster

    finetune, split = _needed(config), prepared.split
    candles = prepared.candles.between(None, split.validation_end)
    market = symbols_of_market(candles, finetune.market)
    chosen = replace(split, validation_end=choosing_end(config, split, candles))
    runs = [candidate, _copy_of_base(finetune, candidate.path.parent / _BASE)]
    if config.evaluation.recalibrate:
        runs = [recalibrate(one, config, candles, chosen, symbols=market, clock=clock) for one in runs]
    ours, base = (load_forecaster(one.path) for one in runs)
    told = compare(
        ours,
        base,
        candles,
        market,
        start=deciding_start(config, split, candles),
        end=split.validation_end,
        horizons=config.evaluation.horizons,
        num_samples=config.evaluation.num_samples,
        most_dates=_MOST_DATES,
    )
    shutil.rmtree(runs[1].path)
    accepted, reason = verdict_of(told, finetune)
    return {
        "accepted": accepted,
        "reason": reason,
        "base": {"path": finetune.base, "id": prepared.base.run_id if prepared.base else ""},
        "market": str(finetune.market),
        "method": finetune.method,
        "decided_on": told,
    }


def verdict_of(told: dict[str, Any], finetune: FinetuneConfig) -> tuple[bool, str]:
    """Return whether the result is kept, and why in one line.

    It has to be better at what ``accept_on`` names, beyond chance and by ``accept_least``, and not worse at
    the other.
    """
    crps, nll = told["crps"], told["nll"]
    returns = f"CRPS of returns {crps['ratio']:.4f} of the base's ({crps['low']:.4f} to {crps['high']:.4f})"
    candles = (
        "no nats a candle to compare" if nll is None
        else f"{nll['difference']:+.4f} nats a candle ({nll['low']:+.4f} to {nll['high']:+.4f})"
    )  # fmt: skip
    gains = {
        "crps": 1.0 - crps["ratio"],
        "nll": 0.0 if nll is None else -nll["difference"] / abs(nll["base"]),
    }
    enough = gains[finetune.accept_on] >= finetune.accept_least
    said = {"crps": crps["verdict"], "nll": "undecided" if nll is None else nll["verdict"]}
    asked = said.pop(finetune.accept_on)
    (other,) = said.values()
    accepted = asked == "better" and enough and other != "worse"
    why = (
        "better" if accepted
        else f"better, but by less than {finetune.accept_least:.1%}" if asked == "better" and not enough
        else "better there, but worse at the other" if asked == "better"
        else "worse" if asked == "worse"
        else "too few dates to tell" if crps["blocks"] < FEWEST_BLOCKS
        else "not better beyond chance"
    )  # fmt: skip
    return accepted, f"judged on {finetune.accept_on}: {why}; {returns}, {candles}, {crps['dates']} dates"


def settle(
    config: TrainConfig, prepared: Prepared, candidate: Run, folder: Path, *, clock: Clock | None = None
) -> dict[str, Any]:
    """Decide, and put into the run's folder what it forecasts with from now on.

    Accepted: the candidate, its spreads put right on the whole validation part, those of other markets as
    the base has them. Refused: the base, so that whoever loads the run gets what is known to be good; the
    candidate stays below ``candidate`` to be looked at. The folder is not sealed yet.
    """
    outcome = decide(config, prepared, candidate, clock=clock)
    base = Run.open(Path(_needed(config).base))
    source = base
    if outcome["accepted"]:
        if FORECASTER_JSON in base.manifest["files"]:
            shutil.copyfile(base.file(FORECASTER_JSON), candidate.path / FORECASTER_JSON)
        source = Run.seal(candidate.path, data_fingerprint=candidate.data_fingerprint, clock=clock)
        if config.evaluation.recalibrate:
            market = symbols_of_market(prepared.candles, _needed(config).market)
            source = recalibrate(
                source, config, prepared.candles, prepared.split, symbols=market, clock=clock
            )
    for name in (*_MODEL_FILES, FORECASTER_JSON):
        if name in source.manifest["files"]:
            shutil.copyfile(source.file(name), folder / name)
    if outcome["accepted"]:
        shutil.rmtree(candidate.path)
    write_json(folder / FINETUNE_FILE, outcome)
    return outcome


def candidate_folder(folder: Path) -> Path:
    """Return where a run's candidate is written, emptied of what an earlier start left."""
    path = folder / _CANDIDATE
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def _copy_of_base(finetune: FinetuneConfig, target: Path) -> Run:
    """Copy a base without its recalibration: the deciding part has had a say in that."""
    run = Run.open(Path(finetune.base))
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in _MODEL_FILES:
        shutil.copyfile(run.file(name), target / name)
    return Run.seal(target, data_fingerprint=run.data_fingerprint)


def _needed(config: TrainConfig) -> FinetuneConfig:
    if config.finetune is None:
        raise RunError("the configuration fine-tunes nothing")
    return config.finetune


def compare_on_test(run: Run, config: TrainConfig, candles: Candles) -> dict[str, Any]:
    """Compare a fine-tuned run with its base, each as it is, on the test part: told, never decided by.

    Args:
        run: Sealed.
        config: Its configuration.
        candles: All candles.
    """
    from marketgpt_models.forecaster import load_forecaster

    finetune = _needed(config)
    return compare(
        load_forecaster(run.path),
        load_forecaster(finetune.base),
        candles,
        symbols_of_market(candles, finetune.market),
        start=split_dates(config.split, candles).test_start,
        end=sessions(candles)[-1] + np.timedelta64(1, "ns"),
        horizons=config.evaluation.horizons,
        num_samples=config.evaluation.num_samples,
        most_dates=_MOST_DATES,
    )
