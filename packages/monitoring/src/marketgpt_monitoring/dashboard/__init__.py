"""The live dashboard: panels from plugins, on one page of a FastAPI application."""

from __future__ import annotations

from marketgpt_monitoring.dashboard.mount import mount_dashboard

__all__ = ["mount_dashboard"]
