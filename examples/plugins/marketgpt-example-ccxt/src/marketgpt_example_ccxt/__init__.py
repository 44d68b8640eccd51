"""A MarketGPT data source that asks crypto exchanges through ccxt."""
