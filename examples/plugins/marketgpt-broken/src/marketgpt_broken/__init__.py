"""Broken on purpose; see the README."""
