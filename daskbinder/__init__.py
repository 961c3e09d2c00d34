"""Every launch on mybinder.org, counted exactly, with Dask."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from daskbinder.cluster.settings import explain_config_errors

if TYPE_CHECKING:
    from daskbinder.archive.archive import Archive
    from daskbinder.archive.mirror import Mirror, sync
    from daskbinder.archive.sample import write_sample
    from daskbinder.dataset.check import Audit, check
    from daskbinder.dataset.rollups import Rollups
    from daskbinder.dataset.rollups import open_rollups as open
    from daskbinder.dataset.summary import Holdings, Overview
    from daskbinder.errors import InputError, JobError
    from daskbinder.model.federation import Federation
    from daskbinder.model.hub import Instance
    from daskbinder.pipeline.plan import Plan, plan
    from daskbinder.pipeline.run import Result, run

# the application decides whether and where the log is shown
logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "Archive": "archive.archive",
    "Audit": "dataset.check",
    "Federation": "model.federation",
    "Holdings": "dataset.summary",
    "InputError": "errors",
    "Instance": "model.hub",
    "JobError": "errors",
    "Mirror": "archive.mirror",
    "Overview": "dataset.summary",
    "Plan": "pipeline.plan",
    "Result": "pipeline.run",
    "Rollups": "dataset.rollups",
    "check": "dataset.check",
    "open": "dataset.rollups",
    "plan": "pipeline.plan",
    "run": "pipeline.run",
    "sync": "archive.mirror",
    "write_sample": "archive.sample",
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
    """Import a public name on first use, so that importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with explain_config_errors():
        module = import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(module, "open_rollups" if name == "open" else name)
