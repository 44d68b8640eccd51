"""Our own sources, one module each."""
