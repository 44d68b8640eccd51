"""How likely a model held the tokens that came: what evaluation compares with counting tokens.

Legend: N candles, T candles of a window, K channels, V tokens of a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_core.tokens import Tokenizer, TokenSeries
from marketgpt_models.base import InputSpec
from marketgpt_models.bin_values import bin_values
from marketgpt_models.features import SeriesFeatures

if TYPE_CHECKING:
    from torch import nn

_WINDOWS_A_BATCH = 32
_NUM_KNOTS = 17
# What of a bin's mass is spread evenly from its neighbour below to the one above: a value the training part
# never saw inside a bin is unlikely there, not impossible.
_EVEN_SHARE = 0.02
# Sigma. A narrower gap between knots comes of equal values; it is not taken for a spike of density.
_LEAST_GAP = 1e-4
# Sigma. What is nearer to zero is one event: adjusted prices leave rounding where a move was zero, and a bin
# of 1e-5 sigma around it would earn a density that nobody can use.
_NEAR_ZERO = 1e-3
_LEAST_MASS = 1e-9


@dataclass(frozen=True, eq=False)
class TokenScores:
    """What a model said of the tokens that came, each given all before it.

    Attributes:
        channel_names: Of the K channels.
        vocab_sizes: Tokens of each channel.
        log_prob: shape (N, K), float32: natural log of the probability of the token that came.
        top1: shape (N, K), bool: the likeliest token was the one that came.
        log_density: shape (N, K), float32: natural log of the density, per unit of log return, at the value
            that came; within a thousandth of sigma of zero, that of the mass there, one event.
        tokens, previous: shape (N, K), int16: the tokens that came, and those of the candle before.
        time: shape (N,), datetime64[ns]: of the candle that came.
        symbol_index: shape (N,), int64: number of the symbol among ``symbols``.
        symbols: The symbols.
    """

    channel_names: tuple[str, ...]
    vocab_sizes: tuple[int, ...]
    log_prob: NDArray[np.float32]
    top1: NDArray[np.bool_]
    log_density: NDArray[np.float32]
    tokens: NDArray[np.int16]
    previous: NDArray[np.int16]
    time: NDArray[np.datetime64]
    symbol_index: NDArray[np.int64]
    symbols: tuple[str, ...]


class BinDensity:
    """The density inside each bin, from the tokenizer's own law: 16 pieces of even density between 17 knots.

    Args:
        tokenizer: Fitted.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        levels = np.linspace(0.0, 1.0, _NUM_KNOTS)
        channels = range(len(tokenizer.vocab_sizes))
        self._knots = [bin_values(tokenizer, channel, levels) for channel in channels]

    def near_zero(self, channel: int) -> NDArray[np.float64]:
        """Return the share of each bin's law that is near zero, (V,)."""
        knots = self._knots[channel]
        low, high = _even_span(knots)
        own = _share_below(knots, _NEAR_ZERO) - _share_below(knots, -_NEAR_ZERO)
        even = np.minimum(high, _NEAR_ZERO) - np.maximum(low, -_NEAR_ZERO)
        mixed = (1 - _EVEN_SHARE) * own + _EVEN_SHARE * np.maximum(even, 0.0) / (high - low)
        return np.asarray(np.where(knots[:, -1] > knots[:, 0], mixed, own))

    def log_density(
        self, tokens: NDArray[np.integer[Any]], values: NDArray[np.floating[Any]], sigma: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the log density inside the bin, per unit of log return, (N, K); NaN near zero.

        Args:
            tokens: shape (N, K).
            values: shape (N, K): what they were made from, in sigma.
            sigma: shape (N,).
        """
        columns = [
            _log_density(knots, tokens[:, channel].astype(np.int64), values[:, channel].astype(np.float64))
            for channel, knots in enumerate(self._knots)
        ]
        log_density = np.stack(columns, axis=1) - np.log(sigma)[:, None]
        return np.where(np.abs(values) < _NEAR_ZERO, np.nan, log_density).astype(np.float32)


def _share_below(knots: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """Return the share of each bin's own law at or below a value, (V,)."""
    low, high = knots[:, :-1], knots[:, 1:]
    wide = high > low
    part = np.where(wide, (at - low) / np.where(wide, high - low, 1.0), low <= at)
    return np.asarray(np.clip(part, 0.0, 1.0).mean(axis=1))


def _even_span(knots: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where a little of each bin's mass is spread evenly, (V,) and (V,)."""
    low = np.minimum(np.concatenate([knots[:1, -1], knots[:-1, -1]]), knots[:, 0])
    high = np.maximum(np.concatenate([knots[1:, 0], knots[-1:, 0]]), knots[:, -1])
    return low, np.maximum(high, low + _LEAST_GAP)


def _log_density(
    knots: NDArray[np.float64], token: NDArray[np.int64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log density per sigma, (N,)."""
    inside = knots[token]
    right = np.clip((inside <= value[:, None]).sum(axis=1), 1, _NUM_KNOTS - 1)
    rows = np.arange(len(token))
    gap = np.maximum(inside[rows, right] - inside[rows, right - 1], _LEAST_GAP)
    held = (value >= inside[:, 0]) & (value <= inside[:, -1])
    low, high = _even_span(knots)
    density = (1 - _EVEN_SHARE) * held / ((_NUM_KNOTS - 1) * gap) + _EVEN_SHARE / (high - low)[token]
    return np.asarray(np.log(density))


def score_tokens(
    module: nn.Module,
    tokenizer: Tokenizer,
    spec: InputSpec,
    series: Sequence[tuple[TokenSeries, SeriesFeatures]],
    *,
    context: int,
    start: np.datetime64 | None,
    end: np.datetime64 | None,
) -> TokenScores:
    """Score every candle stamped ``start <= time < end``, each with half a context before it at least.

    Windows of ``context`` candles overlap by half, and only their second half counts: what is said is what a
    forecast with between half and all of the context would say.

    Args:
        module: In evaluation mode.
        tokenizer: The one it was trained with.
        spec: What it was built for.
        series: Tokens and features of each symbol.
        context: T.
        start: First stamp scored.
        end: First stamp left out.

    Raises:
        DataError: when there is no candle to score.
    """
    windows, owners, rows = _windows(series, context, start, end)
    if not len(rows):
        raise DataError("no candle with half a context before it lies in the range")
    density = BinDensity(tokenizer)
    shares = [density.near_zero(channel) for channel in range(len(tokenizer.vocab_sizes))]
    parts = [
        _of_batch(
            module, spec, series, windows[first : first + _WINDOWS_A_BATCH], context=context, near_zero=shares
        )
        for first in range(0, len(windows), _WINDOWS_A_BATCH)
    ]
    log_prob, top1, log_mass = (np.concatenate([part[column] for part in parts]) for column in range(3))
    tokens, previous, values, sigma, time = (
        np.concatenate([_taken(field, series, owners, rows, symbol) for symbol in np.unique(owners)])
        for field in ("tokens", "previous", "channels", "sigma", "time")
    )
    inside = density.log_density(tokens, values, sigma)
    return TokenScores(
        channel_names=tuple(tokenizer.channel_names),
        vocab_sizes=tuple(tokenizer.vocab_sizes),
        log_prob=log_prob,
        top1=top1,
        log_density=np.where(np.isnan(inside), log_mass, log_prob + inside),
        tokens=tokens,
        previous=previous,
        time=time,
        symbol_index=owners,
        symbols=tuple(tokens_of.symbol for tokens_of, _ in series),
    )


def _windows(
    series: Sequence[tuple[TokenSeries, SeriesFeatures]],
    context: int,
    start: np.datetime64 | None,
    end: np.datetime64 | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return windows (W, 4): symbol, first row, which targets count; and each target's owner and row."""
    half = context // 2
    windows, owners, rows = [], [], []
    for number, (tokens, _) in enumerate(series):
        low = half if start is None else max(half, int(np.searchsorted(tokens.time, start)))
        high = len(tokens) if end is None else int(np.searchsorted(tokens.time, end))
        for first in range(low, high, context - half):
            last = min(first + context - half, high)
            # The window's inputs are the rows before its last target.
            begin = max(0, first - half)
            windows.append((number, begin, first - begin - 1, last - begin - 1))
            owners.append(np.full(last - first, number))
            rows.append(np.arange(first, last))
    if not windows:
        return np.zeros((0, 4), dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.array(windows), np.concatenate(owners), np.concatenate(rows)


def _of_batch(
    module: nn.Module,
    spec: InputSpec,
    series: Sequence[tuple[TokenSeries, SeriesFeatures]],
    windows: NDArray[np.int64],
    *,
    context: int,
    near_zero: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Return log probabilities, hits and log masses near zero of the targets of some windows, in order."""
    import torch

    batch = {}
    for name, dtype in (("tokens", np.int64), ("continuous", np.float32), ("calendar", np.int64)):
        width = getattr(series[0][1], name).shape[1]
        batch[name] = np.zeros((len(windows), context, width), dtype=dtype)
    batch["targets"] = np.zeros_like(batch["tokens"])
    identities = []
    for row, (number, begin, _, last) in enumerate(windows):
        features = series[number][1]
        inputs = slice(begin, begin + last)
        for name in ("tokens", "continuous", "calendar"):
            batch[name][row, :last] = getattr(features, name)[inputs]
        batch["targets"][row, :last] = features.tokens[begin + 1 : begin + last + 1]
        identities.append(spec.identity(features.symbol, features.category))
    batch["asset"], batch["category"] = np.array(identities, dtype=np.int64).T.copy()
    with torch.inference_mode():
        logits = module.token_logits({name: torch.from_numpy(one) for name, one in batch.items()})  # type: ignore[operator]
    counts = [(row, slice(first, last)) for row, (_, _, first, last) in enumerate(windows)]
    columns = []
    for channel, one in enumerate(logits):
        laws = one.float().log_softmax(dim=-1).cpu().numpy()
        came = batch["targets"][..., channel]
        said = np.take_along_axis(laws, came[..., None], axis=-1)[..., 0]
        hit = laws.argmax(axis=-1) == came
        mass = np.log(np.maximum(np.exp(laws) @ near_zero[channel].astype(np.float32), _LEAST_MASS))
        told = (said, hit, mass)
        columns.append([np.concatenate([array[row, part] for row, part in counts]) for array in told])
    return tuple(np.stack(one, axis=1) for one in zip(*columns, strict=True))  # type: ignore[return-value]


def _taken(
    field: str,
    series: Sequence[tuple[TokenSeries, SeriesFeatures]],
    owners: NDArray[np.int64],
    rows: NDArray[np.int64],
    symbol: int,
) -> NDArray[Any]:
    chosen, tokens = rows[owners == symbol], series[symbol][0]
    if field == "previous":
        return np.asarray(tokens.tokens[chosen - 1])
    return np.asarray(getattr(tokens, field)[chosen])
