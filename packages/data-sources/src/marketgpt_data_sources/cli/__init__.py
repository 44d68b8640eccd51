"""``marketgpt data``: sources and universes, fetching, the store, and whether candles are sound."""

from __future__ import annotations

import click

from marketgpt_data_sources.cli.fetch import fetch
from marketgpt_data_sources.cli.list import list_
from marketgpt_data_sources.cli.sql import sql
from marketgpt_data_sources.cli.status import status
from marketgpt_data_sources.cli.verify import verify


@click.group()
def data() -> None:
    """List data sources and universes, fetch candles, look at them."""


data.add_command(list_)
data.add_command(fetch)
data.add_command(status)
data.add_command(sql)
data.add_command(verify)
