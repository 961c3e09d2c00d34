"""A run: compute a plan once on a cluster, then publish what it wrote.

The only module that computes.
"""

import time
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from distributed import Client

from daskbinder._version import __version__
from daskbinder.cluster import compute, connect
from daskbinder.errors import JobError
from daskbinder.graph import Plan
from daskbinder.readiness import check_places
from daskbinder.store import (
    MANIFEST,
    Rollups,
    Written,
    describe,
    read_manifest,
    write_manifest,
)
from daskbinder.tasks import TOPIC

Progress = Callable[[int, int], None]
"""Told from time to time how many bytes and launches were counted since it was last told."""


@dataclass(frozen=True)
class Result:
    """What a run did.

    Attributes
    ----------
    rollups : Rollups
        The data set, ready to be read.
    seconds : float
        From the start of the computation to the manifest.
    """

    rollups: Rollups
    seconds: float


def run(
    plan: Plan,
    scheduler: Client | str | None = None,
    *,
    progress: Progress | None = None,
    **cluster: Any,
) -> Result:
    """Compute a plan and publish its results.

    Parameters
    ----------
    plan : Plan
        What to do.
    scheduler : distributed.Client or str, optional
        A client or a scheduler's address; by default the current client, else a cluster on this
        machine that ends with the run.
    progress : callable, optional
        Called with the bytes and launches counted since the last call.
    **cluster
        Handed to `daskbinder.cluster.connect`: ``security``, ``cluster``, ``adapt``,
        ``workers``, ``threads``, ``memory_limit``, ``wait``, ``dashboard``, ``tell``.

    Returns
    -------
    Result
        The data set and the time it took.

    Raises
    ------
    InputError
        When the input or the options cannot be used.
    JobError
        When the job failed; what was published before stands.
    """
    started = time.perf_counter()
    stamp = plan.dest.stamp(MANIFEST)
    before = read_manifest(plan.dest) or {"files": {}}
    block = min(plan.rules.blocksize, plan.bytes)
    with connect(scheduler, block=block, **cluster) as client:
        check_places(client, plan.archive.place, plan.files[-1], plan.dest)
        results = _compute(plan, client, progress)
    *rollups, days, rejects = results
    written: list[Written] = []
    unknown: list[str] = []
    if plan.series is not None:
        files, unknown = rollups.pop()
        written += files
    written += [file for files in rollups for file in files]
    (day_file, totals), (reject_file, reasons) = days, rejects
    written += [day_file, reject_file]
    if totals.accepted + totals.rejected != totals.lines:
        raise JobError("accepted and rejected lines do not add up; please report this")
    manifest = {
        **_describe(plan, {file.name for file in written}),
        "totals": {**asdict(totals), "reasons": reasons},
        "unknown_origins": unknown,
        "files": {file.name: describe(file) for file in sorted(written, key=lambda f: f.name)},
    }
    write_manifest(plan.dest, manifest, stamp)
    for name in before["files"].keys() - manifest["files"].keys():
        plan.dest.remove(name)
    return Result(Rollups(plan.dest, manifest), time.perf_counter() - started)


def _describe(plan: Plan, written: Container[str]) -> Mapping[str, Any]:
    """What the manifest says of the plan, of whose files only some were `written`."""
    incomplete = {
        f"{window.kind}/{window.label}": [day.isoformat() for day in days]
        for window, days in plan.incomplete().items()
        if any(plan.name(window, grain) in written for grain in plan.grains)
    }
    return {
        "daskbinder": __version__,
        "source": plan.archive.place.url,
        "options": {
            "start": plan.files[0].date.isoformat(),
            "end": plan.files[-1].date.isoformat(),
            "windows": sorted({window.kind for window, _ in plan.windows}),
            "grains": list(plan.grains),
            "errors": plan.rules.errors,
            "compat": plan.rules.compat,
            "versions": sorted(plan.rules.versions),
            "federation": plan.federation.fingerprint,
        },
        "missing": [day.isoformat() for day in plan.missing],
        "incomplete": incomplete,
    }


def _compute(plan: Plan, client: Client, progress: Progress | None) -> list[Any]:
    """Compute the outputs of a plan, all in one graph, telling how far it is."""
    if progress is not None:
        client.subscribe_topic(TOPIC, lambda event: progress(event[1]["bytes"], event[1]["events"]))
    try:
        return compute(client, plan.outputs, plan.about)
    finally:
        if progress is not None:
            with suppress(Exception):  # when the scheduler is gone
                client.unsubscribe_topic(TOPIC)
