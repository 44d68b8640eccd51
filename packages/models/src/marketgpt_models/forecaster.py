"""Forecasts from a trained run: candles in, a distribution over future returns out.

Legend: N rows (a symbol at an as-of time), S samples a row, L steps ahead, H horizons.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config, load_config
from marketgpt_core.errors import ConfigError, DataError, RunError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.run import Run
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_core.tokens import Tokenizer, TokenSeries, VolatilityState, load_tokenizer
from marketgpt_models.base import InputSpec
from marketgpt_models.calendar import bar_of
from marketgpt_models.checkpoint import load_model, read_model_json
from marketgpt_models.covariates import Covariates
from marketgpt_models.ensemble import ENSEMBLE_JSON, EnsembleForecaster
from marketgpt_models.features import SeriesFeatures, features_of
from marketgpt_models.horizon_bins import HorizonBins
from marketgpt_models.mixing import LEVELS, HeadLaw, Summary, mixed, summary_of_paths
from marketgpt_models.prefix import Prefix, calendars_ahead, row_seed, stamps_ahead, windows_of
from marketgpt_models.registry import models

if TYPE_CHECKING:
    from torch import nn

    from marketgpt_models.generation import PathSample

TOKENIZER_JSON = "tokenizer.json"
# Path values held at once: 64 MB.
_VALUES_A_BLOCK = 8_000_000
_ROWS_A_BLOCK = 1_024


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


@dataclass(frozen=True, eq=False)
class _Row:
    """One symbol at one as-of time: candle ``candle_row`` of ``series`` is the last that may be used."""

    series: CandleSeries
    candle_row: int
    order: int

    @property
    def as_of(self) -> np.datetime64:
        stamp: np.datetime64 = self.series.time[self.candle_row]
        return stamp


@dataclass(frozen=True, eq=False)
class _Encoded:
    """All that is known, encoded once a forecast.

    Attributes:
        candles: What is known, of all symbols.
        tokens: Of each symbol.
        features: Of the symbols to forecast.
    """

    candles: Candles
    tokens: dict[str, TokenSeries]
    features: dict[str, SeriesFeatures]

    @classmethod
    def of(
        cls, tokenizer: Tokenizer, candles: Candles, covariates: Covariates, symbols: set[str]
    ) -> _Encoded:
        """Encode; without covariates only the symbols to forecast."""
        wanted = candles.values() if covariates.groups else [candles[symbol] for symbol in symbols]
        tokens = {one.symbol: tokenizer.encode(one) for one in wanted if len(one) > 1}
        beside = covariates.of(candles, tokens)
        return cls(
            candles,
            tokens,
            {name: features_of(tokens[name], (), covariates=beside[name]) for name in symbols},
        )


class GPTForecaster:
    """Samples paths from a trained model and mixes them with its direct horizon heads.

    Args:
        module: In evaluation mode; see :class:`marketgpt_models.generation.PathDecoder`.
        tokenizer: The one it was trained with.
        spec: What it was built for.
        context: Candles it looks back at.
        model_id: Identity recorded in every forecast.
        config: Options.
    """

    class Config(Config):
        """Options of a forecaster.

        Attributes:
            num_passes: Monte Carlo dropout passes the samples are divided into; 1 uses the full network.
            mix: What forecasts are made of: sampled ``paths``, direct ``heads`` (where a horizon has none,
                paths), or the ``mixture`` of both, half and half in probability space.
            temperature: Divides the logits; 1 is the law that was learned.
            keep_paths: Keep the sampled paths in the forecast; they take 8 bytes a sample and step.
            min_history: Candles a symbol needs; None takes half the context.
            device: ``cpu`` or ``cuda``.
        """

        num_passes: int = Field(default=4, ge=1, le=256)
        mix: Literal["paths", "heads", "mixture"] = "mixture"
        temperature: float = Field(default=1.0, gt=0, le=10)
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
    ) -> None:
        _check_fit(tokenizer, spec)
        self.config = config or self.Config()
        self.module = module.to(_device(self.config.device)).eval()
        self.tokenizer = tokenizer
        self.spec = spec
        self.context = context
        self._model_id = model_id
        self._covariates = Covariates(spec.covariates)
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
        config = load_config(cls.Config, options, where="the forecaster's options")
        run = run if isinstance(run, Run) else Run.open(run)
        for name in ("model.json", "model.safetensors"):
            run.file(name)
        tokenizer = load_tokenizer(run.file(TOKENIZER_JSON))
        variant, spec, module = load_model(run.path, expected_tokenizer_fingerprint=tokenizer.fingerprint())
        name = read_model_json(run.path)["variant"]
        context = variant.config.context
        return cls(module, tokenizer, spec, context=context, model_id=f"{name}-{run.id}", config=config)

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
        steps = _horizons(horizons)
        if num_samples < 1:
            raise ConfigError(f"num_samples must be at least 1, got {num_samples}")
        if as_of is not None and not len(as_of):
            raise ConfigError("as_of names no date; None means each symbol's last candle")
        known = candles if as_of is None else candles.until(max(to_datetime64(one) for one in as_of))
        rows = self._rows(known, as_of, symbols)
        encoded = _Encoded.of(self.tokenizer, known, self._covariates, {row.series.symbol for row in rows})
        passes = min(self.config.num_passes, num_samples)
        per_pass = -(-num_samples // passes)
        with self._lock:
            parts = [
                self._block(block, encoded, steps, passes=passes, num_samples=per_pass * passes, seed=seed)
                for block in _blocks(rows, passes * per_pass * int(steps[-1]))
            ]
        stamps = np.array([row.as_of for row in rows], dtype="datetime64[ns]")
        order = np.lexsort((np.array([row.order for row in rows]), stamps))
        summary = Summary.concatenated([part[0] for part in parts], order)
        ordered = [rows[i] for i in order]
        paths = [part[1] for part in parts if part[1] is not None]
        return Forecast(
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
            paths=np.concatenate(paths)[order] if paths else None,
        )

    def _rows(
        self, candles: Candles, as_of: Sequence[Moment] | None, symbols: Sequence[str] | None
    ) -> list[_Row]:
        """Return what to forecast, symbol after symbol."""
        found = []
        chosen = list(candles.values()) if symbols is None else [candles[symbol] for symbol in symbols]
        for order, series in enumerate(chosen):
            last = np.array([len(series)])
            if as_of is not None:
                moments = np.array([to_datetime64(one) for one in as_of], dtype="datetime64[ns]")
                last = np.unique(np.searchsorted(series.time, moments, side="right"))
            found += [_Row(series, int(end) - 1, order) for end in last if end >= self.min_history]
        if not found:
            longest = max((len(series) for series in chosen), default=0)
            raise DataError(
                f"no symbol has enough history: {self.model_id} needs {self.min_history} candles up to the "
                f"as-of date, the longest of {len(chosen)} symbols has {longest}"
            )
        return found

    def _block(
        self,
        rows: list[_Row],
        encoded: _Encoded,
        steps: NDArray[np.int64],
        *,
        passes: int,
        num_samples: int,
        seed: int,
    ) -> tuple[Summary, NDArray[np.float64] | None]:
        from marketgpt_models.generation import sample_paths

        needs_paths = self.config.mix != "heads" or not set(steps.tolist()) <= set(self.spec.horizons)
        prefix = self._prefix(rows, encoded, int(steps[-1]), seed)
        sample = sample_paths(
            self.module,
            self.tokenizer,
            prefix,
            num_steps=int(steps[-1]) if needs_paths else 1,
            num_samples=num_samples if needs_paths else passes,
            num_passes=passes,
            seed=seed,
            temperature=self.config.temperature,
        )
        keep = self.config.keep_paths and needs_paths
        return self._summary(sample, steps, passes), sample.log_returns if keep else None

    def _summary(self, sample: PathSample, steps: NDArray[np.int64], passes: int) -> Summary:
        """Summarise each horizon by paths, heads or both, and put them side by side."""
        pieces = []
        for h in steps.tolist():
            law = self._head_law(sample, h) if self.config.mix != "paths" else None
            if law is not None and self.config.mix == "heads":
                pieces.append(law.summary())
                continue
            ends = sample.log_returns[:, :, h - 1 : h]
            pieces.append(summary_of_paths(ends, passes) if law is None else mixed(ends, passes, law))
        names = ("quantiles", "p_up", "aleatoric", "epistemic")
        return Summary(*(np.concatenate([getattr(one, name) for one in pieces], axis=1) for name in names))

    def _head_law(self, sample: PathSample, horizon: int) -> HeadLaw | None:
        if self._bins is None or sample.horizon_probabilities is None or horizon not in self._bins.horizons:
            return None
        h = self._bins.horizons.index(horizon)
        return HeadLaw(
            bins=HorizonBins([horizon], self._bins.knots[h : h + 1]),
            probabilities=sample.horizon_probabilities[:, :, h : h + 1],
            scale=(sample.next_sigma * np.sqrt(horizon))[:, None],
        )

    def _prefix(self, rows: list[_Row], encoded: _Encoded, num_steps: int, seed: int) -> Prefix:
        """Return the histories of a block of rows, which come symbol after symbol."""
        features: list[SeriesFeatures] = []
        owners, last_rows, identities = [], [], []
        calendars, covariates = [], []
        for series, group in _by_series(rows):
            cut, first = _last_rows(encoded.features[series.symbol], group, self.context)
            owners += [len(features)] * len(group)
            identities += [self.spec.identity(series.symbol, series.category)] * len(group)
            # The first candle of a series has no row of tokens.
            token_rows = np.array([row.candle_row - 1 for row in group], dtype=np.int64)
            last_rows.append(token_rows - first)
            features.append(cut)
            stamps = np.array([row.as_of for row in group], dtype="datetime64[ns]")
            ahead = stamps_ahead(stamps, series.category, bar_of(series.time), num_steps)
            calendars.append(calendars_ahead(stamps, ahead, series.category))
            covariates.append(
                self._covariates.ahead(
                    encoded.candles, encoded.tokens[series.symbol], token_rows, ahead[:, 1:]
                )
            )
        windows = windows_of(features, np.array(owners), np.concatenate(last_rows), self.context)
        asset, category = np.array(identities, dtype=np.int64).T
        return Prefix(
            **windows,  # type: ignore[arg-type]
            asset=asset,
            category=category,
            calendar_ahead=np.concatenate(calendars),
            covariates_ahead=np.concatenate(covariates),
            state=VolatilityState.concatenated(
                [self.tokenizer.begin(row.series[: row.candle_row + 1]) for row in rows]
            ),
            seeds=np.array([row_seed(seed, row.series.symbol, row.as_of) for row in rows], dtype=np.int64),
        )


def _check_fit(tokenizer: Tokenizer, spec: InputSpec) -> None:
    """Refuse a tokenizer whose tokens are not the model's, or that has no close to follow."""
    if tuple(tokenizer.vocab_sizes) != spec.vocab_sizes:
        ours, theirs = list(spec.vocab_sizes), list(tokenizer.vocab_sizes)
        raise RunError(f"the tokenizer has vocabularies {theirs}, the model {ours}")
    if missing := {"gap", "body"} - set(tokenizer.channel_names):
        raise RunError(
            f"paths need the channels gap and body; the tokenizer lacks {', '.join(sorted(missing))}"
        )


def _last_rows(features: SeriesFeatures, group: Sequence[_Row], context: int) -> tuple[SeriesFeatures, int]:
    """Drop the rows no window of the group reaches; return how many were dropped, too."""
    first = max(0, group[0].candle_row - context)
    names = ("time", "tokens", "continuous", "calendar", "next_sigma", "close", "horizon_z", "tasks")
    return replace(features, **{name: getattr(features, name)[first:] for name in names}), first


def _by_series(rows: Sequence[_Row]) -> list[tuple[CandleSeries, list[_Row]]]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row.series.symbol, []).append(row)
    return [(group[0].series, group) for group in groups.values()]


def _blocks(rows: list[_Row], values_a_row: int) -> list[list[_Row]]:
    size = min(_ROWS_A_BLOCK, max(1, _VALUES_A_BLOCK // values_a_row))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _horizons(horizons: Sequence[int]) -> NDArray[np.int64]:
    given = [int(h) for h in horizons]
    if not given or given[0] < 1 or any(b <= a for a, b in pairwise(given)):
        raise ConfigError(f"horizons must increase from 1 bar on, got {given}")
    return np.array(given, dtype=np.int64)


def _device(name: str) -> str:
    import torch

    if name == "cpu" or (name == "cuda" and torch.cuda.is_available()):
        return name
    if name == "cuda":
        raise ConfigError("device 'cuda' is not available here; use 'cpu'")
    raise ConfigError(f"unknown device {name!r}; known: cpu, cuda")
