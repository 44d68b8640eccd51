"""The live page of trainings: ``marketgpt train page``. Reads run folders, which it does not trust."""
