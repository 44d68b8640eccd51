"""A signal strategy for MarketGPT from outside."""
