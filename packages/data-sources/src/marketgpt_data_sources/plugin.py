"""Our own sources, registered the way a third party's are."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_data_sources() -> dict[str, str]:
    """Return the built-in sources."""
    return {
        "csv": "marketgpt_data_sources.sources.csv_folder:CsvFolder",
        "parquet": "marketgpt_data_sources.sources.parquet_folder:ParquetFolder",
        "sample": "marketgpt_data_sources.sources.sample:Sample",
        "synthetic": "marketgpt_data_sources.sources.synthetic:Synthetic",
        "yfinance": "marketgpt_data_sources.sources.yahoo:YFinance",
    }
