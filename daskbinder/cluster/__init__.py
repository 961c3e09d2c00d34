"""Dask clusters: start or connect to one, check that it can do a run, and compute on it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskbinder.cluster.clients import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    """Import `connect` on first use: importing distributed takes half a second."""
    if name != "connect":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from daskbinder.cluster.clients import connect

    return connect
