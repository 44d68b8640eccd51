"""Sampling future candles: many paths a symbol, drawn candle by candle, each carrying its own volatility.

Legend: N rows (a symbol at an as-of time), S samples a row, P = N * S paths, T candles of history, K
channels, F continuous inputs, C calendar fields, D width of the trunk, L steps ahead, H horizons, B bins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from marketgpt_core.tokens import Tokenizer
from marketgpt_models.candle_law import MoveGrid
from marketgpt_models.chunks import available_threads, run_chunks
from marketgpt_models.features import continuous_of
from marketgpt_models.passes import held_pass
from marketgpt_models.prefix import MODEL_INPUTS, Prefix

# Paths and prefixes a chunk: enough for each operation to be worth its call, few enough for the processor's
# caches; and a bound on the memory of larger models.
_PATHS_A_CHUNK = {"cpu": 800, "cuda": 65_536}
_ROWS_A_CHUNK = {"cpu": 32, "cuda": 1_024}
_BYTES_A_CHUNK = {"cpu": 1 << 26, "cuda": 1 << 32}


class PathDecoder(Protocol):
    """What a module's ``decoder()`` returns: it encodes history once, then grows paths from it.

    One that knows the next close's law without drawing has ``move_probabilities(h_ND, temperature)``, too,
    which returns the joint law of gap and body, (N, V_gap * V_body), or None.
    """

    def path_bytes(self, num_steps: int) -> int:
        """Return what one path of ``num_steps`` takes in the cache: it bounds the paths grown at a time."""
        ...

    def begin(self, inputs: Mapping[str, Tensor], *, num_samples: int, num_steps: int) -> tuple[Tensor, Any]:
        """Encode histories, left-padded where not ``valid``; return the states (N, D) and a cache.

        ``inputs``: ``tokens`` (N, T, K), ``continuous`` (N, T, F), ``calendar`` (N, T, C), ``valid`` (N, T),
        ``asset`` (N,) and ``category`` (N,).
        """
        ...

    def extend(self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: Any) -> Tensor:  # noqa: ANN401 - the decoder's own
        """Add the candle just drawn to every path and return the states (N, S, D)."""
        ...

    def draw(self, h: Tensor, u: Tensor, temperature: float, cache: Any) -> Tensor:  # noqa: ANN401 - the decoder's own
        """Draw tokens (N, S, K) from states (N, S, D) at levels ``u`` (N, S, K) in [0, 1)."""
        ...

    def horizon_probabilities(self, h_ND: Tensor) -> Tensor | None:
        """Return the direct heads' probabilities (N, H, B), or None."""
        ...


@dataclass(frozen=True, eq=False)
class PathSample:
    """What :func:`sample_paths` returns.

    Attributes:
        log_returns: shape (N, S, L), float64: cumulative natural-log return of the close after 1..L candles.
            The samples of one pass stand together: pass i is the i-th of ``num_passes`` equal blocks.
        horizon_probabilities: shape (num_passes, N, H, B), float64, of the direct heads; None without.
        next_sigma: shape (N,), float64: scale of the first candle ahead.
        close_cdf: shape (num_passes, N, G), float64: distribution function of the next close's move, in
            units of sigma, on the grid asked for; None where the model does not tell.
        highs, lows: as ``log_returns``, of each candle's high and low; None unless asked for.
    """

    log_returns: NDArray[np.float64]
    horizon_probabilities: NDArray[np.float64] | None
    next_sigma: NDArray[np.float64]
    close_cdf: NDArray[np.float64] | None = None
    highs: NDArray[np.float64] | None = None
    lows: NDArray[np.float64] | None = None


def paths_of(samples: Sequence[PathSample], order: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return the fields of a forecast that hold paths: of samples one after the other, rows reordered."""
    found = {}
    for field, name in (("paths", "log_returns"), ("path_highs", "highs"), ("path_lows", "lows")):
        parts = [one for sample in samples if (one := getattr(sample, name)) is not None]
        if parts:
            found[field] = np.concatenate(parts)[order]
    return found


def sample_paths(
    module: nn.Module,
    tokenizer: Tokenizer,
    prefix: Prefix,
    *,
    num_steps: int,
    num_samples: int,
    num_passes: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    extremes: bool = False,
    grid: MoveGrid | None = None,
) -> PathSample:
    """Sample paths of future candles, the history of a row encoded once for all its paths.

    Args:
        module: In evaluation mode, with a ``decoder()`` that returns a :class:`PathDecoder`.
        tokenizer: The one the module was trained with; it has channels ``gap`` and ``body``.
        prefix: The histories.
        num_steps: Candles ahead (L).
        num_samples: Paths a row (S), a multiple of ``num_passes``.
        num_passes: Monte Carlo dropout passes, each one thinned network; 1 means no dropout.
        seed: Decides the masks of the passes; the draws of a row come from ``prefix.seeds``.
        temperature: Divides the logits; 1 is the law that was learned.
        extremes: Keep highs and lows, too; the tokenizer then has channels ``up`` and ``low``.
        grid: Tell the next close's law on this grid, where the model can.

    Returns:
        The paths: the same seeds give the same, whatever else is in the batch.
    """
    plan = _Plan(num_steps, num_samples, num_passes, seed, temperature, extremes=extremes, grid=grid)
    return _sample(module, module.decoder, tokenizer, prefix, plan)  # type: ignore[arg-type]


def sample_paths_uncached(
    module: nn.Module,
    tokenizer: Tokenizer,
    prefix: Prefix,
    *,
    num_steps: int,
    num_samples: int,
    num_passes: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
) -> PathSample:
    """Do what :func:`sample_paths` does, running the whole history again for every candle: a slow reference.

    ``module`` needs ``encode(inputs, valid)``, or an ``uncached_decoder()``, instead of a fast decoder.
    """
    from marketgpt_models.uncached import UncachedDecoder

    make = getattr(module, "uncached_decoder", lambda: UncachedDecoder(module))
    plan = _Plan(num_steps, num_samples, num_passes, seed, temperature)
    return _sample(module, make, tokenizer, prefix, plan)


@dataclass(frozen=True)
class _Plan:
    num_steps: int
    num_samples: int
    num_passes: int
    seed: int
    temperature: float
    extremes: bool = False
    grid: MoveGrid | None = None

    def __post_init__(self) -> None:
        if self.num_samples % self.num_passes:
            raise ValueError(f"{self.num_samples} samples do not divide into {self.num_passes} passes")

    @property
    def samples_a_pass(self) -> int:
        return self.num_samples // self.num_passes

    def draws(self, seeds: NDArray[np.int64], number: int, num_channels: int) -> Tensor:
        """Return the uniform draws of a pass, (N, L, S, 2 K) float32, each row's from its own generator."""
        shape = (self.num_steps, self.samples_a_pass, 2 * num_channels)
        draws = torch.empty(len(seeds), *shape)
        generator = torch.Generator()
        for row, seed in enumerate(seeds):
            generator.manual_seed(int(seed) ^ (number << 40))
            torch.rand(shape, generator=generator, out=draws[row])
            # The first candle is drawn from strata: S draws of a channel fall into S equal parts, one each.
            order = torch.rand(shape[1:], generator=generator).argsort(dim=0)
            draws[row, 0] = (order + draws[row, 0]) / self.samples_a_pass
        return draws.clamp_(max=1.0 - 2.0**-24)


def _sample(
    module: nn.Module,
    make_decoder: Callable[[], PathDecoder],
    tokenizer: Tokenizer,
    prefix: Prefix,
    plan: _Plan,
) -> PathSample:
    device = next(module.parameters()).device
    # Closes; highs and lows where they are asked for.
    paths = np.empty((3 if plan.extremes else 1, len(prefix), plan.num_samples, plan.num_steps))
    told: list[list[NDArray[np.float64] | None]] = []
    for number in range(plan.num_passes):
        with held_pass(module, seed=plan.seed, number=number, num_passes=plan.num_passes):
            decoder = make_decoder()
            chunks = _chunks(prefix, plan, decoder.path_bytes(plan.num_steps), device.type)
            grow = _Growth(decoder, tokenizer, prefix, plan, number, device, paths)
            results = run_chunks(grow, chunks, parallel=device.type == "cpu")
        order = np.argsort(np.concatenate(chunks), kind="stable")
        told.append([_joined([one[part] for one in results], order) for part in range(2)])
    laws, closes = (None if one[0] is None else np.stack(one) for one in zip(*told, strict=True))
    return PathSample(paths[0], laws, tokenizer.sigma(prefix.state), closes, *paths[1:])


def _joined(
    parts: Sequence[NDArray[np.float64] | None], order: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    found = [one for one in parts if one is not None]
    return np.concatenate(found)[order] if found else None


def _chunks(prefix: Prefix, plan: _Plan, path_bytes: int, device_type: str) -> list[NDArray[np.int64]]:
    """Split the rows, those with padding apart: whether a row needs a mask must not depend on others."""
    paths = min(_PATHS_A_CHUNK[device_type], _BYTES_A_CHUNK[device_type] // path_bytes)
    size = min(paths // plan.samples_a_pass, _ROWS_A_CHUNK[device_type])
    if device_type == "cpu":
        size = min(size, -(-len(prefix) // available_threads()))
    size = max(1, size)
    full = prefix.valid.all(axis=1)
    return [
        rows[start : start + size]
        for rows in (np.flatnonzero(full), np.flatnonzero(~full))
        for start in range(0, len(rows), size)
    ]


@dataclass(frozen=True, eq=False)
class _Growth:
    """Grows the paths of one pass, a chunk of rows a call, into ``paths`` (1 or 3, N, S, L)."""

    decoder: PathDecoder
    tokenizer: Tokenizer
    prefix: Prefix
    plan: _Plan
    number: int
    device: torch.device
    paths: NDArray[np.float64]

    @torch.inference_mode()
    def __call__(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64] | None, ...]:
        """Grow one chunk; return the direct heads' probabilities (rows, H, B), the closes' laws (rows, G)."""
        prefix, plan = self.prefix.rows(rows), self.plan
        h_ND, cache = self.decoder.begin(
            {name: self._tensor(getattr(prefix, name)) for name in MODEL_INPUTS},
            num_samples=plan.samples_a_pass,
            num_steps=plan.num_steps,
        )
        heads, closes = self.decoder.horizon_probabilities(h_ND), self._closes(h_ND)
        first = self.number * plan.samples_a_pass
        block = slice(first, first + plan.samples_a_pass)
        self.paths[:, rows, block] = self._grow(prefix, h_ND, cache)
        return tuple(None if one is None else one.double().cpu().numpy() for one in (heads, closes))

    def _closes(self, h_ND: Tensor) -> Tensor | None:
        # A plugin's decoder may not tell.
        tell = getattr(self.decoder, "move_probabilities", None)
        if self.plan.grid is None or tell is None:
            return None
        pairs: Tensor | None = tell(h_ND, self.plan.temperature)
        if pairs is None:
            return None
        cdf = (pairs @ self._tensor(self.plan.grid.below)).cummax(dim=-1).values
        return cdf / cdf[:, -1:]

    def _grow(self, prefix: Prefix, h_ND: Tensor, cache: object) -> NDArray[np.float64]:
        tokenizer, plan = self.tokenizer, self.plan
        n, s, num_channels = len(prefix), plan.samples_a_pass, len(tokenizer.channel_names)
        draws = plan.draws(prefix.seeds, self.number, num_channels)
        levels = draws[..., :num_channels].to(self.device)
        inside = draws[..., num_channels:].numpy()
        calendar = self._tensor(prefix.calendar_ahead)
        # All samples of a row share what is known of the days ahead.
        ahead = np.repeat(prefix.covariates_ahead, s, axis=0) if prefix.covariates_ahead.shape[-1] else None
        state = prefix.state.repeat(s)
        sigma = tokenizer.sigma(state)
        total = np.zeros(n * s)
        grown = np.empty((len(self.paths), n, s, plan.num_steps))
        h_NSD = h_ND[:, None].expand(-1, s, -1)
        for step in range(plan.num_steps):
            tokens = self.decoder.draw(h_NSD, levels[:, step], plan.temperature, cache)
            values = tokenizer.values(
                tokens.view(n * s, -1).cpu().numpy(), inside[:, step].reshape(n * s, -1)
            )
            candle = _candle(total, sigma[:, None] * values, tokenizer.channel_names, extremes=plan.extremes)
            total = candle[0]
            grown[..., step] = candle.reshape(-1, n, s)
            if step + 1 == plan.num_steps:
                break
            state = tokenizer.advance(state, values)
            next_sigma = tokenizer.sigma(state)
            continuous = continuous_of(values, sigma, next_sigma, tokenizer.slow_sigma(state))
            if ahead is not None:
                continuous = np.concatenate([continuous, ahead[:, step]], axis=-1)
            sigma = next_sigma
            h_NSD = self.decoder.extend(
                tokens, self._tensor(continuous).view(n, s, -1), calendar[:, step], cache
            )
        return grown

    def _tensor(self, values: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def _candle(
    before: NDArray[np.float64], logs: NDArray[np.float64], names: Sequence[str], *, extremes: bool
) -> NDArray[np.float64]:
    """Return cumulative log returns of a candle's close, then of its high and low: (1 or 3, P).

    Args:
        before: shape (P,): of the close before.
        logs: shape (P, K): the channels, in log return.
        names: Of the channels.
        extremes: Whether highs and lows are wanted.
    """
    open_ = before + logs[:, names.index("gap")]
    close = open_ + logs[:, names.index("body")]
    if not extremes:
        return close[None]
    high = np.maximum(open_, close) + logs[:, names.index("up")]
    low = np.minimum(open_, close) - logs[:, names.index("low")]
    return np.stack([close, high, low])
