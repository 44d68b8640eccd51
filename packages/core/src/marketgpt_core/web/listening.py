"""A port to serve on, taken before anything else is begun."""

from __future__ import annotations

import os
import socket

from marketgpt_core.errors import ConfigError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Ours, not the server's: a port that is taken is the user's to mend, in one line.

    Raises:
        ConfigError: when the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port"
        ) from error
