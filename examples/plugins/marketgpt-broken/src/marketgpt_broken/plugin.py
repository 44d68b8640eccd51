"""A data source that cannot be imported: what it needs does not exist."""

from __future__ import annotations

import marketgpt_module_that_does_not_exist

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_data_sources() -> dict[str, type]:
    """Never reached."""
    return {"broken": marketgpt_module_that_does_not_exist.Source}
