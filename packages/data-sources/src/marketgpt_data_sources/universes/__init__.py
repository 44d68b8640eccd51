"""Universes as data files, and the class a plugin's universe is."""
