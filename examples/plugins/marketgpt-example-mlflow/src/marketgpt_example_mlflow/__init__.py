"""MarketGPT trainings in MLflow."""
