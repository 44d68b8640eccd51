"""Loopback servers that speak a vendor's protocol, for tests and benchmarks without a network."""
