"""What a plugin may add to monitoring: an entry point in the group ``marketgpt.monitoring``.

It names a module with any of these hooks, marked with ``marketgpt_core.plugins.hookimpl``.
"""

from __future__ import annotations

from marketgpt_core.plugins import hookspec


@hookspec
def marketgpt_alert_channels() -> dict[str, str]:
    """Return alert channels by name: ``{"pager": "my_package.pager:PagerChannel"}``.

    Each is a subclass of :class:`marketgpt_monitoring.base.AlertChannel`.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_drift_detectors() -> dict[str, str]:
    """Return drift detectors by name: ``{"cusum": "my_package.cusum:CusumDetector"}``.

    Each is a subclass of :class:`marketgpt_monitoring.base.DriftDetector`.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_dashboard_panels() -> dict[str, str]:
    """Return dashboard panels by name: ``{"news": "my_package.news:NewsPanel"}``.

    Each is a subclass of :class:`marketgpt_monitoring.base.DashboardPanel`.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
