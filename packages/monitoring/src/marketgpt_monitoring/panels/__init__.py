"""Dashboard panels that come with the package."""
