"""Package fronts whose names are imported when first used, so that importing a package stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_front(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    Args:
        package: The package's ``__name__``.
        home: Submodule of each public name, relative to the package, or ``:`` and a module elsewhere.
    """

    def getattribute(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = home[name]
        module = place.removeprefix(":") if place.startswith(":") else f"{package}.{place}"
        return getattr(import_module(module), name)

    return getattribute, lambda: sorted(home)
