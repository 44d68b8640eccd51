"""Choosing a strategy's options on one period, by purged folds, and judging them once on what came after."""
