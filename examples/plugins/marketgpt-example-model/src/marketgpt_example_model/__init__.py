"""A model variant for MarketGPT from outside."""
