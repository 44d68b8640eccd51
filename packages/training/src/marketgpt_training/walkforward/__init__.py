"""Walk-forward validation: many folds, each trained on what came before it and tested on what came after."""
