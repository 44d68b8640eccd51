"""What is read off the trunk: the next candle, channel after channel, and returns at fixed horizons.

Legend: ... leading axes, D width of the trunk, K channels, V tokens of a channel, H horizons, B bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CandleHead(nn.Module):
    """Exact joint law of one candle: p(gap) p(body | gap) p(upper | gap, body) p(lower | all three).

    Channel k is read from h + sum over j < k of an embedding of channel j's token: the true token in
    training, the drawn one in generation (Kronos samples it in training and so never learns the dependence).

    Args:
        width: D.
        hidden: Hidden units of each channel's layer.
        vocab_sizes: Tokens a channel.
    """

    def __init__(self, width: int, hidden: int, vocab_sizes: Sequence[int]) -> None:
        super().__init__()
        self.vocab_sizes = tuple(vocab_sizes)
        self.token_embeddings = nn.ModuleList(nn.Embedding(size, width) for size in self.vocab_sizes[:-1])
        self.hidden_layers = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in self.vocab_sizes)
        # With a bias, which holds how common a token is: new bins bring new shares (``remapped``).
        self.logits = nn.ModuleList(nn.Linear(hidden, size) for size in self.vocab_sizes)

    def outputs(self) -> list[nn.Linear]:
        """Return the last layer of each channel."""
        return [layer for layer in self.logits if isinstance(layer, nn.Linear)]

    def forward(self, h: Tensor, targets: Tensor) -> list[Tensor]:
        """Return K logits (..., V_k), each given the true tokens ``targets`` (..., K) before it."""
        results = []
        for k in range(len(self.vocab_sizes)):
            results.append(self.channel_logits(k, h))
            if k + 1 < len(self.vocab_sizes):
                h = self.given(k, h, targets[..., k])
        return results

    def channel_logits(self, channel: int, h: Tensor) -> Tensor:
        """Return the logits (..., V) of one channel from a state that holds the channels before it."""
        return self.logits[channel](F.silu(self.hidden_layers[channel](h)))  # type: ignore[no-any-return]

    def given(self, channel: int, h: Tensor, token: Tensor) -> Tensor:
        """Return the state (..., D) after channel ``channel`` turned out to be ``token`` (...)."""
        return h + self.token_embeddings[channel](token)  # type: ignore[no-any-return]

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw candles channel after channel by the inverse cdf.

        Args:
            h: States (..., D).
            u: Levels in [0, 1), shape (..., K): same levels, same candle.
            temperature: Divides the logits; 1 is the law that was learned.

        Returns:
            tokens (..., K), int64.
        """
        tokens = []
        for k in range(len(self.vocab_sizes)):
            tokens.append(self.draw_channel(k, h, u[..., k : k + 1], temperature))
            if k + 1 < len(self.vocab_sizes):
                h = self.given(k, h, tokens[-1])
        return torch.stack(tokens, dim=-1)

    def draw_channel(self, channel: int, h: Tensor, u: Tensor, temperature: float) -> Tensor:
        """Draw tokens (...) of one channel at levels ``u`` (..., 1), from a state as in `channel_logits`."""
        logits = self.channel_logits(channel, h)
        logits = logits if temperature == 1.0 else logits / temperature
        cdf = logits.softmax(dim=-1).cumsum(dim=-1)
        # The last sum may fall short of 1 by rounding.
        level = u.contiguous() * cdf[..., -1:]
        token = torch.searchsorted(cdf, level, right=True).squeeze(-1)
        return token.clamp_(max=self.vocab_sizes[channel] - 1)


class ParallelHead(CandleHead):
    """The channels as independent laws given the past: a reference arm, which draws no joint candle.

    Args:
        width: D.
        hidden: Hidden units of each channel's layer.
        vocab_sizes: Tokens a channel.
    """

    def __init__(self, width: int, hidden: int, vocab_sizes: Sequence[int]) -> None:
        super().__init__(width, hidden, vocab_sizes)
        self.token_embeddings = nn.ModuleList()

    def given(self, channel: int, h: Tensor, token: Tensor) -> Tensor:  # noqa: ARG002 - the chain's
        """Return the state as it was: a channel does not know of another."""
        return h


class HorizonHead(nn.Module):
    """Direct logits over the bins of the scaled return at each horizon: no sampling needed."""

    def __init__(self, width: int, num_horizons: int, num_bins: int) -> None:
        super().__init__()
        self.shape = (num_horizons, num_bins)
        self.linear = nn.Linear(width, num_horizons * num_bins, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Map (..., D) to (..., H, B)."""
        return self.linear(h).unflatten(-1, self.shape)  # type: ignore[no-any-return]


class TaskHead(nn.Module):
    """Direct logits of further classified targets at each horizon, J tasks of their own sizes."""

    def __init__(self, width: int, num_horizons: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.num_horizons, self.sizes = num_horizons, list(sizes)
        self.linear = nn.Linear(width, num_horizons * sum(sizes), bias=False)

    def forward(self, h: Tensor) -> tuple[Tensor, ...]:
        """Map (..., D) to J logits (..., H, size)."""
        logits = self.linear(h).unflatten(-1, (self.num_horizons, sum(self.sizes)))
        return tuple(logits.split(self.sizes, dim=-1))


class QuantileHead(nn.Module):
    """Quantiles that cannot cross: a median, and softplus steps away from it on either side.

    With weights of zero it says the quantiles of the standard normal law.

    Args:
        width: D.
        num_horizons: H.
        levels: Q levels in (0, 1), increasing, 0.5 among them.
    """

    start: Tensor

    def __init__(self, width: int, num_horizons: int, levels: Sequence[float]) -> None:
        super().__init__()
        self.shape = (num_horizons, len(levels))
        self.middle = list(levels).index(0.5)
        self.linear = nn.Linear(width, num_horizons * len(levels), bias=False)
        normal = torch.tensor([NormalDist().inv_cdf(level) for level in levels], dtype=torch.float64)
        steps = normal.diff()
        # What softplus makes the normal law's steps of; the median has none.
        below, above = steps[: self.middle].expm1().log(), steps[self.middle :].expm1().log()
        start = torch.cat((below, normal.new_zeros(1), above)).float()
        self.register_buffer("start", start, persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """Map (..., D) to (..., H, Q), not decreasing along Q."""
        raw = self.linear(h).unflatten(-1, self.shape) + self.start
        m = self.middle
        median, steps = raw[..., m : m + 1], F.softplus(raw)
        below = steps[..., :m].flip(-1).cumsum(dim=-1).flip(-1)
        return torch.cat((median - below, median, median + steps[..., m + 1 :].cumsum(dim=-1)), dim=-1)
