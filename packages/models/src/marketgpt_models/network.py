"""What all our networks share: inputs summed into one stream, a trunk of their own, heads and losses.

Legend: B batch, T time, D width, K channels, F continuous inputs, C calendar fields, H horizons, N bins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from marketgpt_models.base import InputSpec
from marketgpt_models.heads import CandleHead, HorizonHead
from marketgpt_models.layers import HeldDropout
from marketgpt_models.losses import TargetCounts, candle_losses, horizon_losses

if TYPE_CHECKING:
    from marketgpt_models.network_config import NetworkConfig

_EMBEDDING_STD = 0.02


class SummedEmbedding(nn.Module):
    """One table for several fields; the rows of a tuple's fields are summed."""

    offsets: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", starts, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Map (..., fields) int64 to (..., D)."""
        return self.table(ids + self.offsets).sum(dim=-2)  # type: ignore[no-any-return]


class IdentityEmbedding(nn.Module):
    """Who is forecast: an embedding of the asset plus one of its category, each with a row for ``<unk>``.

    In training a share of the rows is replaced by ``<unk>``, so that an asset never seen is no accident.

    Args:
        spec: Names the assets and categories.
        width: D.
        unknown_rate: Share of ids replaced in training.
    """

    def __init__(self, spec: InputSpec, width: int, unknown_rate: float) -> None:
        super().__init__()
        self.unknown_rate = unknown_rate
        self.asset = nn.Embedding(1 + len(spec.assets), width)
        self.category = nn.Embedding(1 + len(spec.categories), width)

    def forward(self, asset_B: Tensor, category_B: Tensor) -> Tensor:
        """Map ids (B,), (B,) to (B, 1, D), to be added to every position."""
        ids = [self._thinned(asset_B), self._thinned(category_B)]
        return (self.asset(ids[0]) + self.category(ids[1]))[:, None]  # type: ignore[no-any-return]

    def _thinned(self, ids_B: Tensor) -> Tensor:
        if not self.training:
            return ids_B
        return ids_B * (torch.rand(ids_B.shape, device=ids_B.device) >= self.unknown_rate)


class CandleNetwork(nn.Module, ABC):
    """Inputs, heads and losses around a causal trunk; see :class:`marketgpt_models.base.CandleModel`.

    A subclass makes its trunk, then calls :meth:`initialise`.

    Args:
        config: Options of the variant.
        spec: Shapes of the inputs and bins of the horizon targets.
        head: What says which candle comes next.
    """

    bin_edges: Tensor
    #: Whether the trunk can do with ``recompute``.
    can_recompute: ClassVar[bool] = False
    #: Parts that say something, by name: what fine-tuning may learn alone.
    head_names: ClassVar[tuple[str, ...]] = ("candle_head", "horizon_head")
    #: Keep of each block what enters it, and run it again for its gradients: less memory, a third more work.
    recompute: bool = False

    def __init__(
        self, config: NetworkConfig, spec: InputSpec, *, head: type[CandleHead] = CandleHead
    ) -> None:
        super().__init__()
        self.network_config = config
        self.spec = spec
        width = config.dim
        self.token_embedding = SummedEmbedding(spec.vocab_sizes, width)
        self.continuous_input = nn.Linear(spec.num_continuous, width, bias=False)
        self.calendar_embedding = SummedEmbedding(spec.calendar_sizes, width) if spec.calendar_sizes else None
        self.identity_embedding = (
            IdentityEmbedding(spec, width, config.unknown_rate) if config.identity else None
        )
        self.input_dropout = HeldDropout(width, config.dropout)
        self.candle_head = head(width, config.head_dim_candle, spec.vocab_sizes)
        self.horizon_head = HorizonHead(width, len(spec.horizons), spec.num_bins) if spec.horizons else None
        self.register_buffer("bin_edges", _bin_edges(spec), persistent=False)

    @abstractmethod
    def trunk(self, x_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
        """Return the normalised stream (B, T, D) after the last layer; position t has seen <= t.

        ``valid_BT``, where given, is False on the left, where there is padding: what is said at a valid
        position is what the valid positions alone would give.
        """

    def initialise(self, zero_outputs: Sequence[nn.Linear] = ()) -> None:
        """Draw the weights; ``zero_outputs`` start at zero, so that an untrained layer adds nothing."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=_EMBEDDING_STD)
            elif isinstance(module, nn.Linear):
                # Unit variance stays unit variance: at these widths the usual 0.02 starts more slowly
                # (by 0.08 nats a candle after 300 steps of 2,048 candles; level after 700).
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
        # An untrained network says "uniform" at its outputs.
        outputs = [*self.candle_head.outputs(), *zero_outputs]
        if self.horizon_head is not None:
            outputs.append(self.horizon_head.linear)
        for module in outputs:
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if self.identity_embedding is not None:
            # What an asset is beyond <unk> has to be learned.
            nn.init.zeros_(self.identity_embedding.asset.weight)
            nn.init.zeros_(self.identity_embedding.category.weight)

    def identity_of(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Return what identity adds to every position, (B, 1, D), or None."""
        if self.identity_embedding is None:
            return None
        return self.identity_embedding(inputs["asset"], inputs["category"])  # type: ignore[no-any-return]

    def embed(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the stream (B, T, D) that enters the trunk."""
        x_BTD = self.token_embedding(inputs["tokens"]) + self.continuous_input(inputs["continuous"])
        if self.calendar_embedding is not None:
            x_BTD = x_BTD + self.calendar_embedding(inputs["calendar"])
        identity_B1D = self.identity_of(inputs)
        if identity_B1D is not None:
            x_BTD = x_BTD + identity_B1D
        return self.input_dropout(x_BTD)  # type: ignore[no-any-return]

    def encode(self, inputs: Mapping[str, Tensor], valid_BT: Tensor | None = None) -> Tensor:
        """Return the normalised stream (B, T, D); see :meth:`trunk`.

        ``inputs``: ``tokens``, ``continuous``, ``calendar``, ``asset`` and ``category`` of a batch.
        """
        return self.trunk(self.embed(inputs), valid_BT)

    def read(self, batch: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the states (B, T, D) after each candle, and K logits (B, T, V_k) of the one after it."""
        h_BTD = self.encode(batch)
        return h_BTD, self.candle_head(h_BTD, batch["targets"])

    def token_logits(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """Return K logits (B, T, V_k); see :class:`marketgpt_models.base.CandleModel`."""
        return self.read(batch)[1]

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Score a batch; see :class:`marketgpt_models.base.CandleModel`."""
        return self.score(*self.read(batch), batch)

    def score(self, h_BTD: Tensor, logits: list[Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss and its parts, of what :meth:`read` gave."""
        counts = TargetCounts(batch.get("target_counts"))
        losses_K = candle_losses(logits, batch["targets"], batch["mask"], counts)
        nll = losses_K.sum()
        horizon_nll = trained = nll.new_zeros(())
        if self.horizon_head is not None:
            horizon_nll, trained = horizon_losses(
                self.horizon_head(h_BTD),
                batch["horizon_z"],
                batch["mask"],
                self.bin_edges,
                mirrored=self.network_config.mirrored_horizons if self.training else 0.0,
                counts=counts,
            )
        result = {"loss": nll + self.network_config.horizon_weight * trained}
        result |= {"nll": nll.detach(), "horizon_nll": horizon_nll.detach()}
        result |= {f"nll_{k}": value for k, value in enumerate(losses_K.detach())}
        return result


def _bin_edges(spec: InputSpec) -> Tensor:
    """Return the inner edges of the horizon bins, (H, N - 1) float32."""
    from marketgpt_models.horizon_bins import HorizonBins

    if not spec.horizons:
        return torch.zeros(0, 0)
    return torch.from_numpy(HorizonBins.from_json(spec.horizon_bins).edges).float()
