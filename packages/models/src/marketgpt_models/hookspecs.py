"""What a plugin of this package may provide (entry-point group ``marketgpt.models``)."""

from __future__ import annotations

from collections.abc import Mapping

from marketgpt_core.plugins.markers import hookspec


@hookspec
def marketgpt_model_variants() -> Mapping[str, str | type]:
    """Return model variants by name: ``{"my_gpt": "my_package.gpt:MyVariant"}``.

    Each is a subclass of :class:`marketgpt_models.base.ModelVariant`. A string keeps torch out of start-up.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
