"""The states of torch's generators: what dropout draws next."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def random_state(rank: int) -> dict[str, Tensor]:
    """Return a rank's generators by name."""
    state = {f"random/{rank}/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state[f"random/{rank}/cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(rank: int, saved: Mapping[str, Tensor]) -> bool:
    """Set a rank's generators; return False, and leave them, where the checkpoint has none of this rank."""
    if f"random/{rank}/cpu" not in saved:
        return False
    torch.set_rng_state(saved[f"random/{rank}/cpu"])
    if torch.cuda.is_available() and f"random/{rank}/cuda" in saved:
        torch.cuda.set_rng_state(saved[f"random/{rank}/cuda"])
    return True
