"""A port nobody listens on, for processes of one machine to meet at."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a free port of the loopback interface; the system gives none of them twice in a row."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
