"""The strategies that come with this package, one a module."""
