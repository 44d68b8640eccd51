"""Backtests that run beside the server, one after the other."""
