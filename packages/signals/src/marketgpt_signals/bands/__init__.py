"""Bollinger Bands, classical and forecast, and how often they held."""
