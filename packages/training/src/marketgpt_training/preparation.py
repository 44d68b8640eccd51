"""What a run needs before its first step: data split, a tokenizer, a model's inputs, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.plugins import registry
from marketgpt_core.tokens import TargetTokenizer
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.finetuning.base_model import BaseModel, check_market, open_base
from marketgpt_training.sampling import Balanced, Replayed, Sampling
from marketgpt_training.splits import Split, choosing_end, split_dates

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_core.tokens import Tokenizer
    from marketgpt_models.base import InputSpec, ModelVariant
    from marketgpt_models.features import SeriesFeatures


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step; the same on every rank.

    Attributes:
        candles: All candles, test part included (never shown to what is fitted).
        split: Borders.
        tokenizer: Fitted on the training part, or the base's.
        spec: What the model's inputs look like.
        variant: The model variant.
        train: Training windows.
        validation: Validation windows.
        base: What is fine-tuned; None: the model begins from nothing.
    """

    candles: Candles
    split: Split
    tokenizer: Tokenizer
    spec: InputSpec
    variant: ModelVariant
    train: WindowDataset
    validation: WindowDataset
    base: BaseModel | None = None

    def module(self) -> nn.Module:
        """Return the module to train, drawn from torch's global generator or given the base's weights."""
        module = self.variant.build(self.spec)
        return module if self.base is None else self.base.adapted(module)

    def trained(self, weights: dict[str, Tensor]) -> nn.Module:
        """Return the module a run ends with, from the weights the engine ended with."""
        module = self.variant.build(self.spec)
        if self.base is not None:
            return self.base.folded(module, weights)
        module.load_state_dict(weights)
        return module


def prepare(config: TrainConfig, candles: Candles) -> Prepared:
    """Split, fit the tokenizer on the training part (or take the base's), and make windows.

    Raises:
        DataError: when a part of the split is empty or no symbol is long enough.
        ConfigError: for options a plugin refuses, a context or a batch larger than the training part.
        RunError: when there is a base that cannot be opened.
    """
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import features_of_all

    split = split_dates(config.split, candles)
    train_candles = candles.between(None, split.train_end)
    base = None if config.finetune is None else open_base(config.finetune)
    if base is not None:
        check_market(base.config, {str(one.category) for one in train_candles.values()})
    tokenizer = _tokenizer(config, train_candles) if base is None else base.tokenizer
    covariates = Covariates(config.covariates)
    validation_end = choosing_end(config, split, candles)
    # Cut before encoding: a horizon that reaches past the border then has no target, which is the purge.
    train, both = (
        list(features_of_all(tokenizer, part, config.horizons, covariates).values())
        for part in (train_candles, candles.between(None, validation_end))
    )
    spec = _spec_of(config, tokenizer, train, str(candles.interval)) if base is None else base.spec
    variant = base.variant if base is not None else _variant(config)
    prepared = Prepared(
        candles=candles,
        split=split,
        tokenizer=tokenizer,
        spec=spec,
        variant=variant,
        train=WindowDataset(
            train if base is None or base.config.replay else _of_market(train, base),
            context=int(variant.config.context),
            spec=spec,
            disturb=config.disturb,
            channel_names=tokenizer.channel_names,
            sampling=_sampling(config),
        ),
        validation=WindowDataset(
            both if base is None else _of_market(both, base),
            context=int(variant.config.context),
            target_start=split.validation_start,
            target_end=validation_end,
            spec=spec,
        ),
        base=base,
    )
    _check_size(config, prepared)
    return prepared


def _tokenizer(config: TrainConfig, train_candles: Candles) -> Tokenizer:
    made = registry("tokenizer").create(
        config.tokenizer.name, config.tokenizer.options, where="tokenizer.options"
    )
    fitted: Tokenizer = made.fit(train_candles)
    return fitted


def _variant(config: TrainConfig) -> ModelVariant:
    made: ModelVariant = registry("model").create(
        config.model.name, config.model.resolved(), where="model.options"
    )
    return made


def _of_market(features: Sequence[SeriesFeatures], base: BaseModel) -> list[SeriesFeatures]:
    return [one for one in features if str(one.category) == str(base.config.market)]


def _sampling(config: TrainConfig) -> Sampling | None:
    if config.finetune is not None:
        return Replayed(str(config.finetune.market), config.finetune.replay)
    return Balanced(config.loop.balance) if config.loop.balance else None


def _check_size(config: TrainConfig, prepared: Prepared) -> None:
    """Refuse what would train on padding."""
    train = prepared.train
    if train.context > train.longest:
        raise ConfigError(
            f"model.options.context {train.context} is longer than the longest series of the training part, "
            f"{train.longest} candles"
        )
    windows = train.windows_per_epoch()
    if config.loop.batch_size > windows:
        raise ConfigError(
            f"loop.batch_size {config.loop.batch_size} is more than the {windows} windows of {train.context} "
            "candles the training part has"
        )


def _spec_of(
    config: TrainConfig, tokenizer: Tokenizer, train: Sequence[SeriesFeatures], interval: str
) -> InputSpec:
    """Return what a model is built for, from the training part."""
    from marketgpt_models.base import InputSpec
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import CALENDAR_SIZES, HorizonBins, continuous_names

    covariates = Covariates(config.covariates)
    aims = tokenizer if isinstance(tokenizer, TargetTokenizer) else None
    horizon_z = np.concatenate([one.horizon_z for one in train])
    return InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(continuous_names(tokenizer.channel_names)) + len(covariates.names),
        calendar_sizes=CALENDAR_SIZES,
        horizons=config.horizons,
        horizon_bins=HorizonBins.fit(horizon_z, config.horizons).to_json(),
        covariates=config.covariates,
        assets=tuple(one.symbol for one in train),
        categories=tuple(sorted({str(one.category) for one in train})),
        interval=interval,
        task_names=aims.target_names if aims else (),
        task_sizes=aims.target_sizes if aims else (),
    )
