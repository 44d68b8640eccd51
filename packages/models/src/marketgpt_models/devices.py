"""The device a model runs on."""

from __future__ import annotations

from marketgpt_core.errors import ConfigError


def device_of(name: str) -> str:
    """Return a device torch can use.

    Raises:
        ConfigError: for one that does not exist, or not here.
    """
    import torch

    if name == "cpu" or (name == "cuda" and torch.cuda.is_available()):
        return name
    if name == "cuda":
        raise ConfigError("device 'cuda' is not available here; use 'cpu'")
    raise ConfigError(f"unknown device {name!r}; known: cpu, cuda")
