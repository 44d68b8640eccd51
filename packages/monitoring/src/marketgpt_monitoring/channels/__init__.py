"""Alert channels that come with the package."""
