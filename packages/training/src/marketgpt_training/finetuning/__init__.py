"""A trained model made better at one market, and kept only if it is."""
