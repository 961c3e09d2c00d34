"""A Dask cluster: started or reached, asked whether it can do a run, and made to do it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskbinder.cluster.clients import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    """Import `connect` when it is first used: distributed takes half a second."""
    if name != "connect":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from daskbinder.cluster.clients import connect

    return connect
