"""Drift detectors that come with the package."""
