"""Who asks, from where, and what for."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope as AsgiScope

from marketgpt_signals.api.security.keys import Scope

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
STREAM = "/v1/stream"
LIVE = "/v1/health/live"
_METRICS = "/metrics"


def route_path(scope: AsgiScope) -> str:
    """Return the path as the routes have it: without where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    rest = path.removeprefix(root)
    return rest if root and path.startswith(root) and rest[:1] in {"", "/"} else path


def needed(method: str, path: str) -> Scope:
    """Return what a key must be allowed, for any route there is or may come."""
    if path == _METRICS:
        return Scope.METRICS
    return Scope.READ if method in _SAFE else Scope.BACKTEST


def sent_keys(headers: Headers) -> list[str]:
    """Return the keys that were sent; a credential of another kind is a key that is none."""
    found = [_bearer(one) for one in headers.getlist("authorization")]
    return found or headers.getlist("x-api-key")


def _bearer(value: str) -> str:
    kind, _, text = value.partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


def is_home(scope: AsgiScope, headers: Headers) -> bool:
    """Tell whether somebody on this machine asks for it by one of its own names.

    The name matters: a page from elsewhere can make a browser here ask any name that resolves to here, and
    no other. What changes something, and a socket, also tells the page it came from.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback_name(_host(hosts[0])) or not _is_loopback(_address(scope)):
        return False
    if scope["type"] == "http" and scope["method"] in _SAFE:
        return True
    return all(is_loopback_name(_host(one)) for one in headers.getlist("origin"))


def client_name(scope: AsgiScope) -> str:
    """Return what requests without a key are counted under: of IPv6 the network, which one household has."""
    address = _address(scope)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None and not address.is_loopback:
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)


def is_loopback_name(host: str) -> bool:
    """Tell whether a host is this machine by its loopback name or address."""
    if host == "localhost":
        return True
    try:
        return _is_loopback(ip_address(host))
    except ValueError:
        return False


def _is_loopback(address: IPv4Address | IPv6Address | None) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _address(scope: AsgiScope) -> IPv4Address | IPv6Address | None:
    # None also for a socket file: whoever stands before it does not say where he asks from.
    client = scope.get("client")
    try:
        return ip_address(client[0]) if client else None
    except ValueError:
        return None


def _host(text: str) -> str:
    """Return the name in ``name:port`` or ``scheme://name:port``; empty when there is none."""
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
