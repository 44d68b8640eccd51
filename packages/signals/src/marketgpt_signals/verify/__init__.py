"""Whether strategies and forecasters can be trusted: no look ahead, enough history, the same again."""
