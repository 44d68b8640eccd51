"""The variants that come with this package, registered like a third party's."""

from __future__ import annotations

from marketgpt_core.plugins.markers import hookimpl


@hookimpl
def marketgpt_model_variants() -> dict[str, str]:
    """Return our own variants."""
    return {
        "gru": "marketgpt_models.recurrent_variant:GRUVariant",
        "lstm": "marketgpt_models.recurrent_variant:LSTMVariant",
        "market_gpt": "marketgpt_models.gpt_variant:MarketGPTVariant",
        "market_gpt_multi": "marketgpt_models.gpt_variant:MarketGPTMultiAssetVariant",
        "multitask": "marketgpt_models.multitask_variant:MultiTaskVariant",
    }
