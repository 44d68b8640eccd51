"""What trading costs. Never zero by default: a backtest without costs is an advertisement."""

from __future__ import annotations

from pydantic import Field

from marketgpt_core.config import Config

BPS = 1e-4


class CostModel(Config):
    """Proportional costs, the same for every asset.

    Attributes:
        fee_bps: Commission and taxes, basis points of the notional traded, each way.
        slippage_bps: Loss against the open, basis points of the notional traded, each way.
        borrow_bps_per_year: Fee for borrowing what is sold short, basis points of its value a year.
    """

    fee_bps: float = Field(default=5.0, ge=0, le=500, description="each way")
    slippage_bps: float = Field(default=2.0, ge=0, le=500, description="each way")
    borrow_bps_per_year: float = Field(default=50.0, ge=0, le=100_000, description="on short positions")

    @property
    def rate(self) -> float:
        """Cost of a trade as a fraction of its notional."""
        return (self.fee_bps + self.slippage_bps) * BPS

    @property
    def round_trip_bps(self) -> float:
        """Cost of entering and leaving at the same price, basis points."""
        return 2 * (self.fee_bps + self.slippage_bps)

    @property
    def borrow_rate(self) -> float:
        """Borrow fee as a fraction of the short value a year."""
        return self.borrow_bps_per_year * BPS
