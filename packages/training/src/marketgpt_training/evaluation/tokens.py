"""How well the next candle's tokens are told, beside what counting tokens would tell.

A forecaster that can say how likely the tokens were that came offers
``token_scores(candles, *, start, end) -> TokenScores``; of one that cannot, nothing is said. The comparators
are fitted on the training part's tokens only: uniform, unigram (how often each token came) and bigram (after
which token of the same channel of the candle before).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecaster
from marketgpt_core.times import Moment
from marketgpt_training.evaluation.bootstrap import DateBlocks, diebold_mariano, verdict

Tokens = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

_BLOCK_DATES = 5


class TokenScores(Protocol):
    """What a forecaster says of the tokens that came: N candles, K channels.

    Attributes:
        channel_names: Of the K channels.
        vocab_sizes: Tokens of each channel.
        log_prob: shape (N, K): natural log of the probability of the token that came, given all before it.
        top1: shape (N, K), bool: the likeliest token was the one that came.
        log_density: shape (N, K): natural log of the density, per unit of log return, at the value that came;
            next to zero, that of the mass there, one event.
        tokens: shape (N, K): the tokens that came.
        previous: shape (N, K): those of the candle before.
        time: shape (N,), datetime64[ns]: of the candle that came.
        symbol_index: shape (N,): number of the symbol.
    """

    @property
    def channel_names(self) -> tuple[str, ...]: ...  # noqa: D102 - described above
    @property
    def vocab_sizes(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def log_prob(self) -> Floats: ...  # noqa: D102
    @property
    def top1(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def log_density(self) -> Floats: ...  # noqa: D102
    @property
    def tokens(self) -> Tokens: ...  # noqa: D102
    @property
    def previous(self) -> Tokens: ...  # noqa: D102
    @property
    def time(self) -> NDArray[np.datetime64]: ...  # noqa: D102
    @property
    def symbol_index(self) -> NDArray[np.integer[Any]]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class TokenLaws:
    """Unigram and bigram laws of each channel.

    Attributes:
        unigram: One array a channel, shape (V,), natural log probabilities.
        bigram: One array a channel, shape (V, V): row the token before, column the token.
        num_candles: Candles counted.
    """

    unigram: tuple[NDArray[np.float64], ...]
    bigram: tuple[NDArray[np.float64], ...]
    num_candles: int

    @classmethod
    def fit(cls, sequences: Iterable[Tokens], vocab_sizes: tuple[int, ...]) -> TokenLaws:
        """Count the tokens of sequences, each of one symbol, oldest first, shape (T, K).

        The unigram adds one to every count (Laplace). The bigram gives what V tokens seen once would weigh
        to the unigram (MacKay and Peto, "A hierarchical Dirichlet language model", 1995), so that a rare
        predecessor says little and an unseen pair is not impossible.

        Raises:
            DataError: without a single pair of consecutive candles.
        """
        pairs = [np.zeros((size, size)) for size in vocab_sizes]
        counts = [np.zeros(size) for size in vocab_sizes]
        total = 0
        for tokens in sequences:
            total += len(tokens)
            for k, size in enumerate(vocab_sizes):
                column = tokens[:, k].astype(np.int64)
                counts[k] += np.bincount(column, minlength=size)
                flat = column[:-1] * size + column[1:]
                pairs[k] += np.bincount(flat, minlength=size * size).reshape(size, size)
        if not any(one.sum() for one in pairs):
            raise DataError("no two consecutive candles to count tokens in")
        unigram = [(one + 1) / (one.sum() + len(one)) for one in counts]
        bigram = [
            (one + len(law) * law) / (one.sum(axis=1, keepdims=True) + len(law))
            for one, law in zip(pairs, unigram, strict=True)
        ]
        return cls(tuple(map(np.log, unigram)), tuple(map(np.log, bigram)), total)


def token_section(
    forecaster: Forecaster,
    candles: Candles,
    *,
    start: Moment | None,
    end: Moment | None,
    laws: Callable[[], TokenLaws | None],
    seed: int,
    symbols: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return the token scores as JSON values; {} when the forecaster has no ``token_scores``.

    Keys: ``candles``; ``cross_entropy`` -> forecaster -> ``total`` and by channel, nats; ``top1`` likewise,
        shares;
    ``against`` -> comparator -> ``difference`` in nats a candle (negative: the model is better), interval,
    verdict and Diebold-Mariano; ``density`` -> ``nats_a_candle``, a move next to zero counted as one event.

    Args:
        forecaster: The model.
        candles: As evaluated.
        start: First candle scored.
        end: First candle left out.
        laws: Makes the comparators; None leaves unigram and bigram out.
        seed: Of the bootstrap.
        symbols: Which to score; None means all.
    """
    scorer = getattr(forecaster, "token_scores", None)
    if scorer is None:
        return {}
    chosen = {} if symbols is None else {"symbols": symbols}
    scores: TokenScores = scorer(candles, start=start, end=end, **chosen)
    if not len(scores.time):
        return {}
    told = {"model": np.asarray(scores.log_prob, dtype=np.float64)}
    top1 = {"model": np.asarray(scores.top1)}
    uniform = -np.log(np.asarray(scores.vocab_sizes, dtype=np.float64))
    told["uniform"] = np.broadcast_to(uniform, told["model"].shape)
    counted = laws()
    if counted is not None:
        told |= _counted_log_probs(counted, scores)
        top1 |= _counted_top1(counted, scores)
    top1["uniform"] = np.exp(uniform)[None]
    names = list(scores.channel_names)
    blocks = DateBlocks(scores.time, block_dates=_BLOCK_DATES, seed=seed)
    return {
        "candles": len(scores.time),
        "training_candles": counted.num_candles if counted is not None else None,
        "cross_entropy": {name: _channels(-values, names, total=np.sum) for name, values in told.items()},
        "top1": {name: _channels(hits, names, total=np.mean) for name, hits in top1.items()},
        "against": {
            name: _against(-told["model"].sum(axis=1), -values.sum(axis=1), blocks)
            for name, values in told.items()
            if name != "model"
        },
        "density": _density(scores, blocks),
    }


def _counted_log_probs(laws: TokenLaws, scores: TokenScores) -> dict[str, NDArray[np.float64]]:
    tokens, previous = (np.asarray(one, dtype=np.int64) for one in (scores.tokens, scores.previous))
    channels = range(tokens.shape[1])
    return {
        "unigram": np.stack([laws.unigram[k][tokens[:, k]] for k in channels], axis=1),
        "bigram": np.stack([laws.bigram[k][previous[:, k], tokens[:, k]] for k in channels], axis=1),
    }


def _counted_top1(laws: TokenLaws, scores: TokenScores) -> dict[str, NDArray[np.bool_]]:
    tokens, previous = (np.asarray(one, dtype=np.int64) for one in (scores.tokens, scores.previous))
    channels = range(tokens.shape[1])
    likeliest = {
        "unigram": [laws.unigram[k].argmax() for k in channels],
        "bigram": [laws.bigram[k].argmax(axis=1)[previous[:, k]] for k in channels],
    }
    return {
        name: np.stack([tokens[:, k] == best[k] for k in channels], axis=1)
        for name, best in likeliest.items()
    }


def _channels(values: Any, names: list[str], *, total: Callable[..., Any]) -> dict[str, float]:  # noqa: ANN401
    means = np.asarray(values, dtype=np.float64).mean(axis=0)
    return {"total": float(total(means)), **dict(zip(names, means.tolist(), strict=True))}


def _against(ours: NDArray[np.float64], theirs: NDArray[np.float64], blocks: DateBlocks) -> dict[str, Any]:
    mean, low, high = blocks.mean(ours - theirs)
    return {
        "difference": mean, "low": low, "high": high, "verdict": verdict(low, high, even=0.0),
        **diebold_mariano(ours, theirs, blocks),
    }  # fmt: skip


def _density(scores: TokenScores, blocks: DateBlocks) -> dict[str, Any]:
    """Return nats a candle as a density of its channels, in log returns: comparable across tokenizers."""
    loss = -np.asarray(scores.log_density, dtype=np.float64)
    mean, low, high = blocks.mean(loss.sum(axis=1))
    channels = dict(zip(scores.channel_names, loss.mean(axis=0).tolist(), strict=True))
    return {"nats_a_candle": mean, "low": low, "high": high, "channels": channels}
