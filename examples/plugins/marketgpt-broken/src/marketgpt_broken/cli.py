"""A command that cannot be imported, for the same reason."""

from __future__ import annotations

import click
import marketgpt_module_that_does_not_exist


@click.command()
def broken() -> None:
    """Never reached."""
    marketgpt_module_that_does_not_exist.run()
