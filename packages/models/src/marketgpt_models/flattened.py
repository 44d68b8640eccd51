"""MarketGPT with a trunk position a token instead of one a candle: the reference arm of the layouts.

Legend: B batch, T time, K channels, D width, N rows, S samples a row, P = N * S paths.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from marketgpt_models.decoding import GPTDecoder, PathCache
from marketgpt_models.gpt import MarketGPT
from marketgpt_models.uncached import UncachedDecoder


class FlattenedGPT(MarketGPT):
    """Each candle is K positions, and each token is predicted from all before it by the whole trunk.

    Position 0 of a group holds a complete candle, with its continuous values and the calendar of the next;
    position k holds token k - 1 of the next one. So position k of group t predicts channel k of candle t + 1.
    What the chained head adds to its state are here the embeddings of positions 1 .. K - 1, so both have the
    same parameters.

    A window takes K times the positions: compute of the trunk grows K-fold, that of attention K^2-fold.

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs and bins of the horizon targets.
    """

    def groups(
        self, inputs: Mapping[str, Tensor], following_BTK: Tensor, valid_BT: Tensor | None = None
    ) -> Tensor:
        """Return the states (B, T, K, D) of all positions.

        Args:
            inputs: As for :meth:`encode`.
            following_BTK: Tokens of candle t + 1.
            valid_BT: As for :meth:`encode`.
        """
        k = following_BTK.shape[-1]
        parts = [self.embed(inputs)]
        for channel, table in enumerate(self.candle_head.token_embeddings):
            parts.append(self.input_dropout(table(following_BTK[..., channel])))
        x_BLD = torch.stack(parts, dim=2).flatten(1, 2)
        valid_BL = None if valid_BT is None else valid_BT.repeat_interleave(k, dim=1)
        return self.trunk(x_BLD, valid_BL).view(*following_BTK.shape, -1)

    def encode(self, inputs: Mapping[str, Tensor], valid_BT: Tensor | None = None) -> Tensor:
        """Return the states (B, T, D) after each complete candle."""
        tokens_BTK = inputs["tokens"]
        # What stands in the last group's later positions no complete candle sees.
        following_BTK = torch.cat((tokens_BTK[:, 1:], torch.zeros_like(tokens_BTK[:, :1])), dim=1)
        return self.groups(inputs, following_BTK, valid_BT)[:, :, 0]

    def read(self, batch: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the states (B, T, D) after each candle, and K logits (B, T, V_k) of the one after it."""
        h_BTKD = self.groups(batch, batch["targets"])
        channels = range(h_BTKD.shape[2])
        return h_BTKD[:, :, 0], [self.candle_head.channel_logits(k, h_BTKD[:, :, k]) for k in channels]

    def decoder(self) -> FlattenedDecoder:
        """Return what generates paths with the dropout masks held now; see ``generation``."""
        return FlattenedDecoder(self)

    def uncached_decoder(self) -> UncachedFlattenedDecoder:
        """Return the slow reference of :meth:`decoder`."""
        return UncachedFlattenedDecoder(self)


class FlattenedDecoder(GPTDecoder):
    """Decodes paths with a cache of K positions a candle: K steps of the trunk for every candle drawn.

    Args:
        module: The model.
    """

    def __init__(self, module: FlattenedGPT) -> None:
        super().__init__(module)
        self.num_channels = len(module.spec.vocab_sizes)

    def path_bytes(self, num_steps: int) -> int:
        """Return what one path of ``num_steps`` candles takes in the cache."""
        return super().path_bytes(num_steps * self.num_channels)

    def begin(
        self, inputs: Mapping[str, Tensor], *, num_samples: int, num_steps: int
    ) -> tuple[Tensor, PathCache]:
        """Encode the prefixes, left-padded where ``valid`` is False; see :class:`GPTDecoder`."""
        tokens_NTK, valid_NT = inputs["tokens"], inputs["valid"]
        identity = self.module.identity_of(inputs)
        x = self.embed(tokens_NTK, inputs["continuous"], inputs["calendar"], identity)
        k = self.num_channels
        parts = [x[:, :-1], *(self._token(j, tokens_NTK[:, 1:, j]) for j in range(k - 1))]
        before_NLD = torch.stack(parts, dim=2).flatten(1, 2)
        valid_NL = torch.cat((valid_NT[:, :-1].repeat_interleave(k, dim=1), valid_NT[:, -1:]), dim=1)
        h_ND, cache = self.encode(
            torch.cat((before_NLD, x[:, -1:]), dim=1),
            valid_NL,
            num_samples=num_samples,
            num_steps=num_steps * k,
        )
        cache.identity = identity
        return h_ND, cache

    def _token(self, channel: int, token: Tensor) -> Tensor:
        """Return the embedding (..., D) of the position that holds one token of a candle in the making."""
        x: Tensor = self.module.candle_head.token_embeddings[channel](token)
        return x if self.input_mask is None else x * self.input_mask

    def move_probabilities(self, h_ND: Tensor, temperature: float) -> None:
        """Say nothing: a body given every gap would take a step of the trunk for each."""

    def draw(self, h: Tensor, u: Tensor, temperature: float, cache: PathCache) -> Tensor:
        """Draw one candle a path, (N, S, K) int64, a step of the trunk between channels."""
        h_PD, u_PK = h.flatten(0, 1), u.flatten(0, 1)
        tokens: list[Tensor] = []
        for k in range(self.num_channels):
            if k:
                h_PD = self.step(self._token(k - 1, tokens[-1]), cache)
            tokens.append(self.module.candle_head.draw_channel(k, h_PD, u_PK[:, k : k + 1], temperature))
        return torch.stack(tokens, dim=-1).view(u.shape)


class UncachedFlattenedDecoder(UncachedDecoder):
    """Encodes every path's whole history again for each token: the reference of :class:`FlattenedDecoder`."""

    def draw(self, h: Tensor, u: Tensor, temperature: float, cache: dict[str, Tensor]) -> Tensor:
        """Draw one candle a path, (N, S, K) int64."""
        u_PK = u.flatten(0, 1)
        following = torch.cat((cache["tokens"][:, 1:], torch.zeros_like(cache["tokens"][:, :1])), dim=1)
        h_PD = h.flatten(0, 1)
        for k in range(u_PK.shape[1]):
            if k:
                h_PD = self.module.groups(cache, following, cache["valid"])[:, -1, k]
            head = self.module.candle_head
            following[:, -1, k] = head.draw_channel(k, h_PD, u_PK[:, k : k + 1], temperature)
        return following[:, -1].reshape(u.shape)
