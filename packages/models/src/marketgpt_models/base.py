"""The contract of a model variant. Importing it brings pydantic, never torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field, model_validator

from marketgpt_core.config import Config

if TYPE_CHECKING:
    from torch import Tensor, nn


class InputSpec(Config):
    """What a module is built for: the shapes of its inputs and the bins of its direct horizon targets.

    Attributes:
        vocab_sizes: Tokens a channel, K channels in the order a candle is drawn.
        num_continuous: Continuous inputs a candle (F).
        calendar_sizes: Values of each calendar field of the candle to be predicted (C fields).
        horizons: Bars ahead the direct heads answer for (H), increasing; may be empty.
        horizon_bins: ``HorizonBins.to_json()`` fitted on the training part; empty without horizons.
        covariates: Groups of covariates at the end of the continuous inputs; see ``covariates``.
        assets: Symbols of the training part, in the order of their ids from 1 on; 0 is ``<unk>``.
        categories: Its categories, likewise.
        interval: Length of its candles, as ``1d``; empty where nobody says.
        task_names: Further targets a horizon (J), as the tokenizer names them; may be empty.
        task_sizes: Classes of each.
    """

    vocab_sizes: tuple[int, ...] = Field(min_length=1)
    num_continuous: int = Field(ge=1)
    calendar_sizes: tuple[int, ...]
    horizons: tuple[int, ...] = ()
    horizon_bins: dict[str, Any] = Field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    interval: str = ""
    task_names: tuple[str, ...] = ()
    task_sizes: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> InputSpec:
        if min((*self.vocab_sizes, *self.calendar_sizes, *self.task_sizes)) < 1:
            raise ValueError("vocab_sizes, calendar_sizes and task_sizes must be at least 1")
        if len(self.task_names) != len(self.task_sizes):
            raise ValueError(
                f"{len(self.task_names)} task_names do not fit {len(self.task_sizes)} task_sizes"
            )
        if list(self.horizons) != sorted(set(self.horizons)) or min(self.horizons, default=1) < 1:
            raise ValueError(f"horizons must increase from 1 bar on, got {list(self.horizons)}")
        if list(self.horizon_bins.get("horizons", [])) != list(self.horizons):
            raise ValueError(
                f"horizon_bins are for {self.horizon_bins.get('horizons', [])}, not {list(self.horizons)}"
            )
        return self

    def identity(self, symbol: str, category: str) -> tuple[int, int]:
        """Return the ids of a symbol and its category; 0 where training never saw it."""
        return _id_in(self.assets, symbol), _id_in(self.categories, str(category))

    @property
    def num_bins(self) -> int:
        """Bins of one direct horizon head; 0 without horizons."""
        from marketgpt_models.horizon_bins import NUM_BINS

        return NUM_BINS if self.horizons else 0


def _id_in(names: tuple[str, ...], name: str) -> int:
    return names.index(name) + 1 if name in names else 0


@runtime_checkable
class CandleModel(Protocol):
    """What training asks of a built module.

    ``forward`` takes a batch (B windows of T candles):

    - ``tokens`` (B, T, K) int64, ``continuous`` (B, T, F) float32, ``calendar`` (B, T, C) int64: the inputs;
    - ``asset``, ``category`` (B,) int64: ids by :meth:`InputSpec.identity`, 0 for ``<unk>``;
    - ``targets`` (B, T, K) int64: tokens of candle t + 1; ``mask`` (B, T) bool: where they count;
    - ``horizon_z`` (B, T, H) float32: log return over h bars in units of ``next_sigma * sqrt(h)``; NaN: none;
    - ``tasks`` (B, T, H, J) int64, where the specification has tasks: classes, -1: none;
    - ``target_counts`` (2 + J,) float32, in training: targets of an average part of the global batch
      (candles, horizons, each task's), by which sums are divided: ``marketgpt_models.losses.TargetCounts``.

    It returns scalars: ``loss`` (differentiable) = ``nll`` + horizon_weight * ``horizon_nll`` + what else the
    variant learns from; and detached ``nll`` (nats a candle: the sum over channels), ``nll_0`` ...
    ``nll_<K-1>``, ``horizon_nll`` (nats a target) and the parts of what else there is. What is computed at
    position t uses positions <= t only, and of candle t + 1 a channel sees only the channels before it.
    """

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Score a batch; see the class."""
        ...

    def token_logits(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """Return K logits (B, T, V_k) of candle t + 1, each given the true tokens before it in the candle."""
        ...


class ModelVariant(ABC):
    """One architecture: knows its options, how many parameters it has, and how to build the module.

    Args:
        config: An instance of the class's ``Config``.
    """

    class Config(Config):
        """Options every variant has.

        Attributes:
            context: Candles a window; the model is trained on windows of this length.
        """

        context: int = Field(default=128, ge=2)

    # "module:Class" of what forecasts with this variant; it has ``from_pretrained(path, **options)``.
    forecaster_class: ClassVar[str] = "marketgpt_models.forecaster:GPTForecaster"

    config: Config

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def build(self, spec: InputSpec) -> nn.Module:
        """Return a freshly initialised module that follows :class:`CandleModel`.

        It draws from torch's global generator, so ``torch.manual_seed`` before it decides the weights.

        Raises:
            ConfigError: for a specification the variant cannot serve, and so does :meth:`num_parameters`.
        """

    @abstractmethod
    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building."""
