"""Replay: signals of the ledger against signals made again from the stored forecasts, field by field."""

from __future__ import annotations

from collections.abc import Sequence

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.verify.checks import Check, difference
from marketgpt_signals.verify.lookahead import CREATED_AT

# The same statement may be made again by newer code.
_MAY_DIFFER = ("code_revision",)


def check_replay(
    said: Sequence[Signal],
    strategy: SignalStrategy,
    snapshot: Sequence[tuple[Forecast, Candles | None]],
) -> list[Check]:
    """Make the signals of a ledger again and compare all they say but when they were made.

    Args:
        said: Signals of the ledger; those of other strategies are left out.
        strategy: The strategy, with the options it had.
        snapshot: What was stored: forecasts, by model and fingerprint of the candles they were made from,
            each with candles for a strategy that reads them.

    Returns:
        Two checks: every signal's forecast is in the snapshot, made from candles of the same fingerprint;
        and the signal made from it is the same.
    """
    mine = [signal for signal in said if signal.strategy == strategy.name]
    again: dict[tuple[str, str], Signal] = {}
    for forecast, candles in snapshot:
        made = signals_of(strategy, forecast, created_at=CREATED_AT, candles=candles)
        again |= {(signal.id, signal.data_fingerprint): signal for signal in made}
    others = dict(again.keys())
    there = Check(strategy.name, "snapshot", num_compared=len(mine))
    same = Check(strategy.name, "replay")
    for signal in mine:
        where = f"{signal.symbol} at {iso(signal.as_of)}, {signal.horizon_bars} bars"
        found = again.get((signal.id, signal.data_fingerprint))
        if found is None:
            other = others.get(signal.id)
            told = (
                f"candles {other[:12]} there, {signal.data_fingerprint[:12]} in the ledger" if other else ""
            )
            there.differs(f"{where}, model {signal.model_id}: {told or 'no such forecast in the snapshot'}")
            continue
        same.num_compared += 1
        if told := difference(signal, found, but=_MAY_DIFFER):
            same.differs(f"{where}: {told}")
    if not mine:
        there.differs(f"the ledger has no signals of {strategy.name}")
    return [there, same]
