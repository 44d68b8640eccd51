"""A MarketGPT data source that reads candles from a SQLite database."""
