"""Past a vocabulary fixed at training time: new bins for new candles, and what their tokens are in old ones.

A model's embeddings and outputs know the tokens of the tokenizer it was trained with. When the market has
moved away from those bins (or is another market), there are two ways on:

* :func:`refit_laws` keeps every edge, so that tokens keep their meaning and the model needs no change; only
  the law inside each bin, which decoded values are drawn from, follows the new candles.
* ``tokenizer.refit(candles)`` cuts new bins, and :func:`remap` says what each new token is in old ones: row i
  of ``mixing`` is the share of new bin i's law in each old bin. With it the tables of a model follow::

      for one, table in zip(remap(old, new), tables, strict=True):
          table.embedding = one.mixing @ table.embedding            # (V_new, D) from (V_old, D)
          table.out_weight = one.mixing @ table.out_weight          # (V_new, D) from (V_old, D)
          table.out_bias = one.mixing @ table.out_bias + one.shift  # (V_new,)

  Its predictions are the old ones seen through other bins, their shares those of the new candles, and
  training goes on from there. Mixing logits is a geometric mean of probabilities: exact where a new bin lies
  inside one old bin, and where the model predicts the old shares; ``push`` does it exactly to probabilities,
  ``p_new = p_old @ push``.

``benchmarks/tokenizer_drift.py`` measures on real candles what a fixed vocabulary loses and what this gains.
In another market the shift to the new shares is what keeps the model usable: without it US stocks' tables
lose 0.7 nats a candle on crypto, with it they gain 1.6.

Legend: V_old, V_new tokens of one channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.files import atomic_path
from marketgpt_tokenizer.bins import MIN_VALUES, ChannelBins, knots_of
from marketgpt_tokenizer.ohlc import OHLCTokenizer

T = TypeVar("T", bound=OHLCTokenizer)

# Shares below say "hardly ever": their logs stay finite, and a token never seen can still be learned.
_LEAST_SHARE = 1e-7
_MOST_VALUES_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class ChannelRemap:
    """What the new tokens of one channel are in old ones.

    Attributes:
        mixing: shape (V_new, V_old), float64, rows sum to 1: share of each new bin's law in each old bin.
        push: shape (V_old, V_new), float64, rows sum to 1: share of each old bin's law in each new bin.
        shift: shape (V_new,), float64: what to add to mixed logits; see :func:`output_shift`.
    """

    mixing: NDArray[np.float64]
    push: NDArray[np.float64]
    shift: NDArray[np.float64]


def remapping(old: ChannelBins, new: ChannelBins) -> NDArray[np.float64]:
    """Return each new bin's law as shares of the old bins, shape (V_new, V_old), float64; rows sum to 1.

    The law inside a bin is the piecewise linear quantile function through its knots, so the shares are exact:
    the u in [0, 1] whose value lies between two old edges. The atom of zero maps to the atom.
    """
    below = np.zeros((len(new), len(old) + 1))
    below[:, -1] = 1.0
    rows = max(1, _MOST_VALUES_AT_ONCE // (new.knots.shape[1] * max(len(old.edges), 1)))
    for start in range(0, len(new), rows):
        part = slice(start, start + rows)
        below[part, 1:-1] = _share_below(new.knots[part], old.edges)
    return np.diff(below, axis=1)


def _share_below(knots: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each row's law below each edge, shape (V, E)."""
    low, high = knots[:, :-1, None], knots[:, 1:, None]
    width = high - low
    # Equal knots are a mass at one value.
    inside = np.where(width > 0, (edges - low) / np.where(width > 0, width, 1.0), low < edges)
    return np.asarray(np.clip(inside, 0.0, 1.0).mean(axis=1))


def output_shift(
    old: ChannelBins, new: ChannelBins, *, shares: Literal["old", "new"] = "new"
) -> NDArray[np.float64]:
    """Return what to add to mixed logits, shape (V_new,), float64.

    A new bin that is half of an old one is half as likely; mixed logits do not know that. The shift is chosen
    so that a model which predicts the old training shares predicts, after mixing, the shares of the new bins:

    Args:
        old: Bins the model was trained with.
        new: Bins it goes on with.
        shares: ``"new"``: what the new candles put there, so that predictions follow the market's drift;
            ``"old"``: what the old law gives the new bins, so that they stay what they were.
    """
    if shares not in {"old", "new"}:
        raise DataError(f"shares are 'old' or 'new', got {shares!r}")
    target = old.mass @ remapping(new, old) if shares == "old" else new.mass
    logs = (np.log(np.maximum(one, _LEAST_SHARE)) for one in (target, old.mass))
    new_logs, old_logs = logs
    return np.asarray(new_logs - remapping(old, new) @ old_logs)


def remap(
    old: OHLCTokenizer, new: OHLCTokenizer, *, shares: Literal["old", "new"] = "new"
) -> tuple[ChannelRemap, ...]:
    """Return what the tokens of ``new`` are in those of ``old``, channel by channel.

    Raises:
        DataError: when their channels, or what decides sigma, differ: then their values cannot be compared.
    """
    if old.channel_names != new.channel_names:
        raise DataError(
            f"tokens of {', '.join(new.channel_names)} cannot be told in those of "
            f"{', '.join(old.channel_names)}"
        )
    ours, theirs = (_scale_options(one) for one in (old, new))
    if ours != theirs:
        name = next(name for name in ours if ours[name] != theirs[name])
        raise DataError(
            f"the tokenizers measure in different units: {name} is {ours[name]} in the old one and "
            f"{theirs[name]} in the new one"
        )
    return tuple(
        ChannelRemap(mixing=remapping(a, b), push=remapping(b, a), shift=output_shift(a, b, shares=shares))
        for a, b in zip(old.bins, new.bins, strict=True)
    )


def write_remap(
    remaps: Sequence[ChannelRemap], path: Path, *, old: OHLCTokenizer, new: OHLCTokenizer
) -> None:
    """Write a safetensors file of ``gap.mixing``, ``gap.push``, ``gap.shift`` and so on, float64.

    Its metadata hold the fingerprints of both tokenizers, ``old`` and ``new``.

    Raises:
        RunError: when it cannot be written.
    """
    from safetensors.numpy import save

    tensors = {
        f"{name}.{part}": np.ascontiguousarray(getattr(one, part))
        for name, one in zip(old.channel_names, remaps, strict=True)
        for part in ("mixing", "push", "shift")
    }
    metadata = {"old": old.fingerprint(), "new": new.fingerprint()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=metadata))


def _scale_options(tokenizer: OHLCTokenizer) -> dict[str, object]:
    """Return the options behind sigma and the volume's scale; bins may differ, units may not."""
    options = tokenizer.config.dumped()
    names = [name for name in options if "half_life" in name or name in {"warmup_bars", "clip"}]
    return {name: options[name] for name in names}


def refit_laws(tokenizer: T, candles: Candles) -> T:
    """Return the tokenizer with the same edges, but inside each bin the law of these candles.

    Bins with too few new values keep their law. ``mass`` follows the new candles; the fingerprint changes, as
    decoded candles do, the tokens of any candle do not.

    Raises:
        DataError: without a symbol of two candles.
    """
    rows = [tokenizer.encode(series) for series in candles.values() if len(series) > 1]
    if not rows:
        raise DataError("laws are refitted on at least one symbol of two candles; there is none")
    tokens = np.concatenate([one.tokens for one in rows])
    values = np.concatenate([one.channels for one in rows]).astype(np.float64)
    bins = tuple(
        _with_laws(one, tokens[:, channel], values[:, channel]) for channel, one in enumerate(tokenizer.bins)
    )
    return tokenizer.with_bins(bins)


def _with_laws(bins: ChannelBins, tokens: NDArray[np.int16], values: NDArray[np.float64]) -> ChannelBins:
    counts = np.bincount(tokens, minlength=len(bins))
    pieces = np.split(values[np.argsort(tokens, kind="stable")], np.cumsum(counts)[:-1])
    ends = np.concatenate([[-np.inf], bins.edges, [np.inf]])
    knots = bins.knots.copy()
    for token, piece in enumerate(pieces):
        if token != bins.atom and len(piece) >= MIN_VALUES:
            knots[token] = knots_of(piece, ends[token], ends[token + 1])
    return replace(bins, knots=knots, mass=counts / len(values))
