"""Our own sources and universes, registered the way a third party's are."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_data_sources() -> dict[str, str]:
    """Return the built-in sources."""
    return {
        "csv": "marketgpt_data_sources.sources.csv_folder:CsvFolder",
        "parquet": "marketgpt_data_sources.sources.parquet_folder:ParquetFolder",
        "sample": "marketgpt_data_sources.sources.sample:Sample",
        "store": "marketgpt_data_sources.sources.stored:Stored",
        "synthetic": "marketgpt_data_sources.sources.synthetic:Synthetic",
        "yfinance": "marketgpt_data_sources.sources.yahoo:YFinance",
    }


@hookimpl
def marketgpt_universes() -> dict[str, str]:
    """Return the built-in universes; ``file`` reads a user's own."""
    builtin = "marketgpt_data_sources.universes.builtin"
    return {
        "commodity": f"{builtin}:Commodity",
        "crypto": f"{builtin}:Crypto",
        "em": f"{builtin}:EmergingMarkets",
        "eu": f"{builtin}:Europe",
        "file": "marketgpt_data_sources.universes.file:FileUniverse",
        "full-market": f"{builtin}:FullMarket",
        "reduced": f"{builtin}:Reduced",
        "us": f"{builtin}:UnitedStates",
        "us-tech": f"{builtin}:UnitedStatesTech",
    }
