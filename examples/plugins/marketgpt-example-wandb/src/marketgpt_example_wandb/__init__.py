"""MarketGPT trainings in Weights & Biases."""
