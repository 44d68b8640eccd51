"""Forecasts from a trained run: candles in, a distribution over future returns out.

Legend: N rows (a symbol at an as-of time), S samples a row, L steps ahead, H horizons.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config, load_config
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.run import Run
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_core.tokens import Tokenizer, load_tokenizer
from marketgpt_models.base import InputSpec
from marketgpt_models.candle_law import CloseLaw, MoveGrid
from marketgpt_models.caveats import caveats_of, row_caveats
from marketgpt_models.checkpoint import check_fit, load_model, read_model_json
from marketgpt_models.devices import device_of
from marketgpt_models.ensemble import ENSEMBLE_JSON, EnsembleForecaster
from marketgpt_models.forecast_rows import (
    ForecastRow,
    Histories,
    blocks_of,
    check_reach,
    rows_to_forecast,
    steps_of,
)
from marketgpt_models.forecaster_file import read_forecaster_file
from marketgpt_models.horizon_bins import HorizonBins
from marketgpt_models.mixing import LEVELS, DirectLaw, HeadLaw, Summary, mixed, summary_of_paths
from marketgpt_models.recalibration import Recalibration
from marketgpt_models.registry import models

if TYPE_CHECKING:
    from torch import nn

    from marketgpt_models.generation import PathSample
    from marketgpt_models.scoring import TokenScores

TOKENIZER_JSON = "tokenizer.json"


def load_forecaster(path: Path | str, **options: Any) -> Forecaster:  # noqa: ANN401 - of the variant's own forecaster
    """Open a run and return the forecaster of its variant.

    Args:
        path: The run's folder.
        options: Of that forecaster, for example ``num_passes`` and ``mix`` of :class:`GPTForecaster`.

    Raises:
        RunError: when the folder is no run or was tampered with.
        PluginError: when no installed plugin provides the variant.
    """
    run = Run.open(path)
    if ENSEMBLE_JSON in run.manifest["files"]:
        return EnsembleForecaster.from_pretrained(run, **options)
    run.file("model.json")
    variant = models().load(str(read_model_json(run.path)["variant"]))
    forecaster: Forecaster = resolve_name(variant.forecaster_class).from_pretrained(run, **options)
    return forecaster


class GPTForecaster:
    """Samples paths from a trained model and mixes them with its direct horizon heads.

    Args:
        module: In evaluation mode; see :class:`marketgpt_models.generation.PathDecoder`.
        tokenizer: The one it was trained with.
        spec: What it was built for.
        context: Candles it looks back at.
        model_id: Identity recorded in every forecast.
        config: Options.
        recalibration: From the validation part; used where forecasts are made of what it was fitted on.
    """

    class Config(Config):
        """Options of a forecaster.

        Attributes:
            num_passes: Monte Carlo dropout passes the samples are divided into; 1 uses the full network.
            mix: What forecasts are made of: sampled ``paths``, direct ``heads`` (where a horizon has none,
                paths), or the ``mixture`` of both, half and half in probability space. A bar ahead the head
                of candles takes the place of the direct one where it tells the close's law exactly: it is
                the sharper of the two.
            temperature: Divides the logits; 1 is the law that was learned.
            recalibrate: Put spreads right as the validation part of the run's training says.
            keep_paths: Keep the sampled paths in the forecast, highs and lows too where the tokenizer has
                wicks; they take 24 bytes a sample and step.
            min_history: Candles a symbol needs; None takes half the context.
            device: ``cpu`` or ``cuda``.
        """

        num_passes: int = Field(default=4, ge=1, le=256)
        mix: Literal["paths", "heads", "mixture"] = "mixture"
        temperature: float = Field(default=1.0, gt=0, le=10)
        recalibrate: bool = True
        keep_paths: bool = False
        min_history: int | None = Field(default=None, ge=2)
        device: str = "cpu"

    def __init__(
        self,
        module: nn.Module,
        tokenizer: Tokenizer,
        spec: InputSpec,
        *,
        context: int,
        model_id: str,
        config: Config | None = None,
        recalibration: Recalibration | None = None,
    ) -> None:
        check_fit(tokenizer, spec)
        self._recalibration = recalibration
        self.config = config or self.Config()
        self.module = module.to(device_of(self.config.device)).eval()
        self.tokenizer = tokenizer
        self.spec = spec
        self.context = context
        self._model_id = model_id
        self._bins = HorizonBins.from_json(spec.horizon_bins) if spec.horizons else None
        # A pass holds its dropout masks in the module: one forecast at a time.
        self._lock = threading.Lock()

    @classmethod
    def from_pretrained(cls, run: Run | Path | str, **options: Any) -> Self:  # noqa: ANN401 - validated by Config
        """Load a sealed run: every file is checked against its manifest first.

        Args:
            run: The run or its folder.
            options: See :class:`Config`.

        Raises:
            RunError: when the folder is no run, was tampered with, or its parts do not fit.
            ConfigError: for an option that does not exist or does not fit.
        """
        run = run if isinstance(run, Run) else Run.open(run)
        own, recalibration = read_forecaster_file(run)
        config = load_config(cls.Config, {**own, **options}, where="the forecaster's options")
        for name in ("model.json", "model.safetensors"):
            run.file(name)
        tokenizer = load_tokenizer(run.file(TOKENIZER_JSON))
        variant, spec, module = load_model(run.path, expected_tokenizer_fingerprint=tokenizer.fingerprint())
        name = read_model_json(run.path)["variant"]
        context = variant.config.context
        return cls(
            module,
            tokenizer,
            spec,
            context=context,
            model_id=f"{name}-{run.id}",
            config=config,
            recalibration=recalibration,
        )

    @cached_property
    def _grid(self) -> MoveGrid | None:
        # Made when a bar ahead is first asked for.
        return MoveGrid.of(self.tokenizer) if self.config.mix != "paths" else None

    @property
    def model_id(self) -> str:
        """Variant and the run's identity."""
        return self._model_id

    @property
    def reads_market(self) -> bool:
        """Whether other symbols' candles make its forecasts better."""
        return "market" in self.spec.covariates

    @property
    def min_history(self) -> int:
        """Candles a symbol needs before its first forecast."""
        return self.config.min_history or max(2, self.context // 2 + 1)

    def forecast(
        self,
        candles: Candles,
        *,
        horizons: Sequence[int],
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> Forecast:
        """Forecast every symbol at every as-of date; see :class:`marketgpt_core.forecast.Forecaster`.

        Rows come by as-of time, then in the order of the symbols. Moments that stand for the same candle of
        a symbol give one row. ``num_samples`` is rounded up to a multiple of the passes.
        """
        from marketgpt_models.generation import paths_of

        steps = steps_of(horizons)
        if num_samples < 1:
            raise ConfigError(f"num_samples must be at least 1, got {num_samples}")
        if as_of is not None and not len(as_of):
            raise ConfigError("as_of names no date; None means each symbol's last candle")
        known = candles if as_of is None else candles.until(max(to_datetime64(one) for one in as_of))
        rows = rows_to_forecast(known, as_of, symbols, min_history=self.min_history, model_id=self.model_id)
        check_reach(self._reach(steps), context=self.context, model_id=self.model_id)
        histories = Histories.of(known, (row.series.symbol for row in rows), self.tokenizer, self.spec)
        passes = min(self.config.num_passes, num_samples)
        per_pass = -(-num_samples // passes)
        with self._lock:
            parts = [
                self._block(block, histories, steps, passes=passes, num_samples=per_pass * passes, seed=seed)
                for block in blocks_of(rows, passes * per_pass * int(steps[-1]))
            ]
        stamps = np.array([row.as_of for row in rows], dtype="datetime64[ns]")
        order = np.lexsort((np.array([row.order for row in rows]), stamps))
        summary = Summary.concatenated([part[0] for part in parts], order)
        ordered = [rows[i] for i in order]
        kept = [part[1] for part in parts]
        made = Forecast(
            symbols=tuple(row.series.symbol for row in ordered),
            as_of=stamps[order],
            close=np.array([row.series.close[row.candle_row] for row in ordered]),
            horizons=steps,
            levels=LEVELS,
            quantiles=summary.quantiles,
            p_up=summary.p_up,
            aleatoric=summary.aleatoric,
            epistemic=summary.epistemic,
            interval=candles.interval,
            model_id=self.model_id,
            data_fingerprint=known.fingerprint(),
            caveats=row_caveats(self.spec, candles, [row.series.symbol for row in ordered]),
            **paths_of([one for one in kept if one is not None], order),
        )
        return self._recalibrated(made, [str(row.series.category) for row in ordered])

    def _recalibrated(self, made: Forecast, categories: list[str]) -> Forecast:
        fitted = self._recalibration
        if fitted is None or not self.config.recalibrate or fitted.mix != self.config.mix:
            return made
        return fitted.apply(made, categories)

    def caveats(self, candles: Candles, symbols: Sequence[str] | None = None) -> list[str]:
        """Say what of these candles the model never saw: lines for a person, none when all is familiar."""
        return caveats_of(self.spec, candles, symbols)

    def token_scores(
        self,
        candles: Candles,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        symbols: Sequence[str] | None = None,
    ) -> TokenScores:
        """Say how likely the tokens were that came, of candles stamped ``start <= time < end``.

        Args:
            candles: History and what came, also of symbols that only tell what state the market is in.
            start: First stamp scored.
            end: First stamp left out.
            symbols: Which to score; None means all.

        Raises:
            DataError: when there is no candle to score.
        """
        from marketgpt_models.scoring import score_tokens

        asked = candles.symbols if symbols is None else symbols
        histories = Histories.of(
            candles, [one for one in asked if len(candles[one]) > 1], self.tokenizer, self.spec
        )
        with self._lock:
            return score_tokens(
                self.module,
                self.tokenizer,
                self.spec,
                [(histories.tokens[symbol], one) for symbol, one in histories.features.items()],
                context=self.context,
                start=None if start is None else to_datetime64(start),
                end=None if end is None else to_datetime64(end),
            )

    def _block(
        self,
        rows: list[ForecastRow],
        histories: Histories,
        steps: NDArray[np.int64],
        *,
        passes: int,
        num_samples: int,
        seed: int,
    ) -> tuple[Summary, PathSample | None]:
        from marketgpt_models.generation import sample_paths

        reach = self._reach(steps)
        prefix = histories.prefix(rows, context=self.context, num_steps=int(steps[-1]), seed=seed)
        sample = sample_paths(
            self.module,
            self.tokenizer,
            prefix,
            num_steps=max(reach, 1),
            num_samples=num_samples if reach else passes,
            num_passes=passes,
            seed=seed,
            temperature=self.config.temperature,
            grid=self._grid if int(steps[0]) == 1 else None,
            extremes=self.config.keep_paths and {"up", "low"} <= set(self.tokenizer.channel_names),
        )
        return self._summary(sample, steps, passes), sample if self.config.keep_paths else None

    def _is_sampled(self, horizon: int) -> bool:
        """Whether a horizon takes sampled paths."""
        return self.config.mix != "heads" or horizon not in self.spec.horizons

    def _reach(self, steps: NDArray[np.int64]) -> int:
        """Return how many bars paths must reach; 0 when the heads alone do."""
        if self.config.keep_paths:
            return int(steps[-1])
        return max((h for h in steps.tolist() if self._is_sampled(h)), default=0)

    def _summary(self, sample: PathSample, steps: NDArray[np.int64], passes: int) -> Summary:
        """Summarise each horizon by paths, heads or both, and put them side by side."""
        pieces = []
        for h in steps.tolist():
            law = self._direct_law(sample, h) if self.config.mix != "paths" else None
            if law is not None and not self._is_sampled(h):
                pieces.append(law.summary())
                continue
            ends = sample.log_returns[:, :, h - 1 : h]
            pieces.append(summary_of_paths(ends, passes) if law is None else mixed(ends, passes, law))
        names = ("quantiles", "p_up", "aleatoric", "epistemic")
        return Summary(*(np.concatenate([getattr(one, name) for one in pieces], axis=1) for name in names))

    def _direct_law(self, sample: PathSample, horizon: int) -> DirectLaw | None:
        if horizon == 1 and sample.close_cdf is not None and self._grid is not None:
            return CloseLaw(self._grid.points, sample.close_cdf, sample.next_sigma[:, None])
        if self._bins is None or sample.horizon_probabilities is None or horizon not in self._bins.horizons:
            return None
        h = self._bins.horizons.index(horizon)
        return HeadLaw(
            bins=HorizonBins([horizon], self._bins.knots[h : h + 1]),
            probabilities=sample.horizon_probabilities[:, :, h : h + 1],
            scale=(sample.next_sigma * np.sqrt(horizon))[:, None],
        )
