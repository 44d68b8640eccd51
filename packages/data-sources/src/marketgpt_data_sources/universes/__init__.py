"""Universes: ours as TOML files, the class a plugin's universe is, and the reader of a user's."""
