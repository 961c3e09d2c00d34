"""Every launch on mybinder.org, counted exactly, with Dask."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from daskbinder.settings import blamed

if TYPE_CHECKING:
    from daskbinder.archive import Archive
    from daskbinder.audit import Audit, check
    from daskbinder.errors import InputError, JobError
    from daskbinder.federation import Federation
    from daskbinder.instance import Instance
    from daskbinder.job import Result, run
    from daskbinder.mirror import Mirror, sync
    from daskbinder.overview import Holdings, Overview
    from daskbinder.planner import Plan, plan
    from daskbinder.sample import write_sample
    from daskbinder.store import Rollups
    from daskbinder.store import open_rollups as open

# who uses the package decides whether and where its log is seen
logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "Archive": "archive",
    "Audit": "audit",
    "Federation": "federation",
    "Holdings": "overview",
    "InputError": "errors",
    "Instance": "instance",
    "JobError": "errors",
    "Mirror": "mirror",
    "Overview": "overview",
    "Plan": "planner",
    "Result": "job",
    "Rollups": "store",
    "check": "audit",
    "open": "store",
    "plan": "planner",
    "run": "job",
    "sync": "mirror",
    "write_sample": "sample",
}

__all__ = [
    "Archive",
    "Audit",
    "Federation",
    "Holdings",
    "InputError",
    "Instance",
    "JobError",
    "Mirror",
    "Overview",
    "Plan",
    "Result",
    "Rollups",
    "check",
    "open",
    "plan",
    "run",
    "sync",
    "write_sample",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with blamed():
        module = import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(module, "open_rollups" if name == "open" else name)
