"""The look all our pages begin with: colours, header, cards."""

from __future__ import annotations

from importlib.resources import files


def base_css() -> str:
    """Return the style sheet: classes ``mg-*`` and, on ``:root``, the colours of light and dark pages."""
    return (files("marketgpt_core") / "web" / "base.css").read_text(encoding="utf-8")
