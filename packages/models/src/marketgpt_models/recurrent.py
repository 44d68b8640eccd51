"""Recurrent trunks: stacked LSTM or GRU layers, the classical baseline beside the transformer.

Legend: B batch, T time, D width, N rows, S samples a row, P = N * S paths, F continuous inputs, C calendar.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from marketgpt_models.base import InputSpec
from marketgpt_models.layers import HeldDropout, rms_norm
from marketgpt_models.network import CandleNetwork
from marketgpt_models.network_decoder import NetworkDecoder

if TYPE_CHECKING:
    from marketgpt_models.recurrent_variant import RecurrentConfig

# The state of one layer, each part (1, N, D): hidden and cell of an LSTM, hidden of a GRU.
State = tuple[Tensor, ...]


class RecurrentNetwork(CandleNetwork):
    """LSTM or GRU layers between the inputs and heads of :class:`CandleNetwork`, dropout after each.

    Dropout is never on the recurrent connection (Zaremba et al. 2014).

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs and bins of the horizon targets.
        cell: ``nn.LSTM`` (Hochreiter & Schmidhuber 1997) or ``nn.GRU`` (Cho et al. 2014).
    """

    def __init__(self, config: RecurrentConfig, spec: InputSpec, cell: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__(config, spec)
        width = config.dim
        self.layers = nn.ModuleList(cell(width, width, batch_first=True) for _ in range(config.num_layers))
        self.dropouts = nn.ModuleList(HeldDropout(width, config.dropout) for _ in range(config.num_layers))
        self.final_norm = rms_norm(width)
        for layer in self.layers:
            if isinstance(layer, nn.LSTM):
                # A layer that remembers at first learns long dependencies sooner (Jozefowicz et al. 2015).
                nn.init.ones_(layer.get_parameter("bias_ih_l0")[width : 2 * width])
                nn.init.zeros_(layer.get_parameter("bias_hh_l0")[width : 2 * width])
        self.initialise()

    def trunk(self, x_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
        """Run the layers; see :class:`CandleNetwork`."""
        stream_BTD, _ = self.run(x_BTD, valid_BT, list(self.dropouts))
        return self.final_norm(stream_BTD)  # type: ignore[no-any-return]

    def run(
        self, x_BTD: Tensor, valid_BT: Tensor | None, dropouts: Sequence[Callable[[Tensor], Tensor]]
    ) -> tuple[Tensor, list[State]]:
        """Run the layers over histories, left-padded where not valid: padding leaves no trace in a state.

        Returns:
            The stream (B, T, D), zero at padding, and each layer's state after the last candle.
        """
        if valid_BT is None or bool(valid_BT.all()):
            states = []
            for layer, dropout in zip(self.layers, dropouts, strict=True):
                x_BTD, state = layer(x_BTD)
                x_BTD = dropout(x_BTD)
                states.append(_as_tuple(state))
            return x_BTD, states
        lengths_B = valid_BT.sum(dim=1)
        packed = pack_padded_sequence(
            _rolled(x_BTD, lengths_B), lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        states = []
        for layer, dropout in zip(self.layers, dropouts, strict=True):
            packed, state = layer(packed)
            packed = PackedSequence(dropout(packed.data), *packed[1:])
            states.append(_as_tuple(state))
        length = x_BTD.shape[1]
        stream_BTD, _ = pad_packed_sequence(packed, batch_first=True, total_length=length)
        return _rolled(stream_BTD, length - lengths_B), states

    def decoder(self) -> RecurrentDecoder:
        """Return what generates paths with the dropout masks held now; see ``generation``."""
        return RecurrentDecoder(self)


def _rolled(x_BTD: Tensor, shifts_B: Tensor) -> Tensor:
    """Move each row's positions ``shifts`` to the right, those at the end to the front."""
    length = x_BTD.shape[1]
    source_BT = (torch.arange(length, device=x_BTD.device) - shifts_B[:, None]) % length
    return x_BTD.gather(1, source_BT[..., None].expand_as(x_BTD))


def _as_tuple(state: Tensor | State) -> State:
    return state if isinstance(state, tuple) else (state,)


@dataclass
class RecurrentCache:
    """Where the paths stand.

    Attributes:
        states: Of each layer and path, (1, P, D).
        identity: What identity adds to every position of a row, (N, 1, D), or None.
    """

    states: list[State]
    identity: Tensor | None


class RecurrentDecoder(NetworkDecoder):
    """Carries each path's recurrent state: a step costs the same however long the history.

    Args:
        module: In evaluation mode, with the dropout masks it is to decode with.
    """

    def __init__(self, module: RecurrentNetwork) -> None:
        super().__init__(module)
        self.module = module
        # Copies, so that masks held later do not matter.
        self.dropouts = [copy.copy(one) for one in module.dropouts]

    def path_bytes(self, num_steps: int) -> int:  # noqa: ARG002 - the protocol's
        """Return what one path takes in the cache, whatever its length: two states a layer at most."""
        return 4 * 2 * self.module.network_config.dim * len(self.module.layers)

    def begin(
        self,
        inputs: Mapping[str, Tensor],
        *,
        num_samples: int,
        num_steps: int,  # noqa: ARG002 - the protocol's
    ) -> tuple[Tensor, RecurrentCache]:
        """Encode the prefixes, left-padded where ``valid`` is False.

        Returns:
            The state after each prefix's last candle (N, D), and the cache for its paths.
        """
        identity = self.module.identity_of(inputs)
        x = self.embed(inputs["tokens"], inputs["continuous"], inputs["calendar"], identity)
        stream_NTD, states = self.module.run(x, inputs["valid"], self.dropouts)
        repeated = [tuple(part.repeat_interleave(num_samples, dim=1) for part in state) for state in states]
        return self.module.final_norm(stream_NTD[:, -1]), RecurrentCache(repeated, identity)

    def extend(
        self, tokens_NSK: Tensor, continuous_NSF: Tensor, calendar_NC: Tensor, cache: RecurrentCache
    ) -> Tensor:
        """Add one candle to every path and return the state after it, (N, S, D)."""
        x = self.embed(tokens_NSK, continuous_NSF, calendar_NC[:, None], cache.identity)
        x_P1D = x.flatten(0, 1)[:, None]
        for number, layer in enumerate(self.module.layers):
            before = cache.states[number]
            x_P1D, state = layer(x_P1D, before if len(before) > 1 else before[0])
            x_P1D = self.dropouts[number](x_P1D)
            cache.states[number] = _as_tuple(state)
        return self.module.final_norm(x_P1D).view(*tokens_NSK.shape[:2], -1)  # type: ignore[no-any-return]
