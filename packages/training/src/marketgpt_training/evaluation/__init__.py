"""Scoring forecasts against what happened, beside what simple models would have said."""

RESULTS_FILE = "test_results.json"
