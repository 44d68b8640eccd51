"""Manners towards servers: a pace, retries, and a breaker that stops asking one that does not answer.

Start with :class:`marketgpt_data_sources.pacing.network.NetworkSource`, the base of a source that asks
somebody else. Importing this package imports nothing.
"""
