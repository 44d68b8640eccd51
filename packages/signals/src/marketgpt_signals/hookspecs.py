"""What a plugin of this package may provide (entry-point group ``marketgpt.signals``)."""

from __future__ import annotations

from collections.abc import Mapping

from marketgpt_core.plugins.markers import hookspec


@hookspec
def marketgpt_signal_strategies() -> Mapping[str, str | type]:
    """Return signal strategies by name: ``{"my_rule": "my_package.rule:MyRule"}``.

    Each is a subclass of :class:`marketgpt_signals.base.SignalStrategy`. A string keeps numpy and pandas
    out of start-up.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
