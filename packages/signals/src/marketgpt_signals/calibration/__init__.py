"""Putting P(up) right by what came of earlier forecasts, and of nothing later."""
