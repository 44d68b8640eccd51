"""Our own engines, registered the way a third party's are."""

from __future__ import annotations

from marketgpt_core.plugins.markers import hookimpl


@hookimpl
def marketgpt_training_engines() -> dict[str, str]:
    """Return DeepSpeed and plain torch."""
    return {
        "deepspeed": "marketgpt_training.engines.deepspeed_engine:DeepSpeedEngine",
        "torch": "marketgpt_training.engines.torch_engine:TorchEngine",
    }
