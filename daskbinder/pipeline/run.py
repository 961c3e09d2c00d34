"""A run: compute a plan on a cluster, then publish what it wrote."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, NamedTuple

import msgspec
from dask.utils import format_bytes
from distributed import Client

from daskbinder._version import __version__
from daskbinder.cluster.clients import connect
from daskbinder.cluster.execution import compute
from daskbinder.cluster.preflight import LEAST_BLOCK, Tell, block_for, check_places, silent
from daskbinder.cluster.settings import explain_config_errors
from daskbinder.dataset import journal
from daskbinder.dataset.layout import DAYS, MANIFEST, REJECTS
from daskbinder.dataset.lock import StillHeld, locked
from daskbinder.dataset.manifest import Manifest, Shrunk, read_manifest, write_manifest
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import JobError, LostFiles
from daskbinder.model.dates import beside
from daskbinder.pipeline.counting_tasks import TOPIC
from daskbinder.pipeline.graph import Outputs
from daskbinder.pipeline.incremental import launches_before
from daskbinder.pipeline.output_tasks import DaysWritten
from daskbinder.pipeline.plan import Plan, revise

log = logging.getLogger(__name__)
_PACKAGE = "daskbinder"

Progress = Callable[[int, int], None]
"""Called from time to time with the bytes and launches counted since the last call."""

_Hear = Callable[[tuple[float, dict[str, Any]]], None]


@dataclass(frozen=True)
class Result:
    """What a run did.

    Attributes
    ----------
    rollups : Rollups
        The data set, ready to be read.
    bytes : int
        Bytes of day files read.
    launches : int
        Launches counted.
    seconds : float
        Wall time of the run, in seconds.
    """

    rollups: Rollups
    bytes: int
    launches: int
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
        The plan.
    scheduler : distributed.Client or str, optional
        A client or a scheduler's address; by default the current client, else a cluster on this
        machine that ends with the run.
    progress : callable, optional
        Called with the bytes and launches counted since the last call.
    **cluster
        Passed to `daskbinder.cluster.connect`: ``security``, ``cluster``, ``adapt``,
        ``workers``, ``threads``, ``memory_limit``, ``archive_bytes``, ``wait``, ``dashboard``,
        ``tell``.

    Returns
    -------
    Result
        The data set and the time it took.

    Raises
    ------
    InputError
        When the input or the options cannot be used.
    JobError
        When the job failed; results published earlier remain.

    Examples
    --------
    >>> import daskbinder as db
    >>> plan = db.plan(db.Archive("archive"), "new", windows=["weekly"], grains=["day"])
    >>> result = db.run(plan)
    >>> result.launches == result.rollups.manifest["totals"]["accepted"]
    True
    """
    started = time.perf_counter()
    tell: Tell = cluster.get("tell", silent)
    least = LEAST_BLOCK if plan.policy.blocksize is None else plan.policy.blocksize
    block = min(least, plan.bytes)
    with explain_config_errors(), connect(scheduler, block=block, **cluster) as client:
        plan = _fitted(plan, client, tell)
        log.info("run on %s", client.scheduler.address)
        for line in str(plan).splitlines() if log.isEnabledFor(logging.INFO) else ():
            log.info("plan: %s", line)
        check_places(client, plan.request.archive.location, plan.files[-1], plan.dest)
        with locked(plan.dest) as still_held, _warnings_of_workers(client):
            hear = partial(_hear, progress, tell)
            manifest = _publish(plan, client, hear, still_held)
    launches = manifest.totals.accepted - plan.launches_kept
    return Result(Rollups(plan.dest, manifest), plan.bytes, launches, time.perf_counter() - started)


def _fitted(plan: Plan, client: Client, tell: Tell) -> Plan:
    """Shrink blocks to fit the workers' memory, unless the caller set their size."""
    size = plan.policy.block_bytes
    if plan.policy.blocksize is None and (fits := block_for(client, size)) < min(size, plan.bytes):
        tell(f"blocks of {format_bytes(fits)} for the memory of the workers")
        return revise(plan, blocksize=fits)
    return plan


def _publish(plan: Plan, client: Client, hear: _Hear, still_held: StillHeld) -> Manifest:
    """Compute a plan, replace the manifest, then remove files that it no longer names."""
    dest, earlier, full = plan.dest, plan.update.earlier, plan.policy.full
    version = dest.stamp(MANIFEST)
    before = read_manifest(dest, broken_is_none=earlier is None)
    if earlier is not None and version != plan.base:
        raise JobError(f"{dest} was written to since this run was planned; plan it again")
    launches: dict[date, int] = {}
    if before is not None and before.instance == plan.request.archive.instance.name:
        launches = launches_before(dest, before, earlier, full=full)
    if full:
        journal.forget(dest)
    pending = journal.begin(dest, plan.token, plan.names, from_scratch=earlier is None)
    plan, results, lost, pending = _compute_all(plan, client, hear, pending)
    manifest = _manifest(plan, results, launches, lost)
    standing = before.files.keys() if before else ()
    stale = frozenset({*standing, *pending.leftover} - manifest.files.keys())
    if stale:  # the next run removes them if this one cannot
        journal.write_pending(dest, msgspec.structs.replace(pending, leftover=stale))
    still_held()
    write_manifest(dest, manifest, version)
    log.info("published %s/%s: %d files", dest, MANIFEST, len(manifest.files))
    for name in sorted(stale):
        dest.remove(name)
        log.info("removed %s", name)
    journal.clear(dest)
    return manifest


class _Computed(NamedTuple):
    """What was computed, and the plan as finally revised."""

    plan: Plan
    results: Outputs[Any]
    lost: dict[str, str]
    pending: journal.PendingRun


def _compute_all(plan: Plan, client: Client, hear: _Hear, pending: journal.PendingRun) -> _Computed:
    """Compute a plan, revising it for what only the day files can tell.

    It is revised if launches strayed to days that were not counted, or if files that may be left
    out are lost.
    """
    lost: dict[str, str] = {}
    while True:
        try:
            results = plan.outputs.with_results(_compute(plan, client, hear))
            beyond = _beyond(plan, results.days)
            if not beyond:
                return _Computed(plan, results, lost, pending)
            log.info("launches strayed to %d days that were not counted; these too", len(beyond))
            plan = revise(plan, recount=beyond)
        except LostFiles as error:
            if not plan.policy.keep_going or len(error.files) == len(plan.files):
                raise
            lost |= error.files
            for why in error.files.values():
                log.warning("left out: %s", why)
            plan = revise(plan, without=error.files)
        pending = pending.also(plan.names)
        journal.write_pending(plan.dest, pending)


def _beyond(plan: Plan, days: DaysWritten) -> set[date]:
    """Dates that were not recounted though a file read in this run may hold their launches."""
    if plan.update.dates is None:
        return set()
    return {near for day in days.strays for near in beside(day)} - plan.update.dates


def _manifest(
    plan: Plan, results: Outputs[Any], before: Mapping[date, int], lost: Mapping[str, str]
) -> Manifest:
    """Describe the data set, including days with far fewer launches than `before`."""
    days, rejects, series = results.days, results.rejects, results.series
    files = {DAYS: days.file, REJECTS: rejects.file} | (series.files if series else {})
    for written in (*results.rollups, results.repositories or {}):
        files |= written
    if days.totals.accepted + days.totals.rejected != days.totals.lines:
        raise JobError("accepted and rejected lines do not add up; please report this")
    for name, entry in files.items():
        log.debug("wrote %s, %d bytes, %d rows", name, entry.bytes, entry.rows)
    unknown = series.unknown_origins if series else []
    strays, launches = set(days.strays), days.launches
    if (earlier := plan.update.earlier) is not None:
        files |= {name: earlier.files[name] for name in plan.standing}
        # may name a host whose days are gone: which days it was seen on is not recorded
        unknown = sorted({*unknown, *earlier.unknown_origins})
        unread = set(plan.request.present) - {file.date for file in plan.update.read}
        strays |= earlier.strays & unread
        launches = {row["date"]: row["accepted"] for row in earlier.days} | launches
    request = plan.request
    now = {day: launches[day] for day in request.present}
    return Manifest(
        daskbinder=__version__,
        instance=request.archive.instance.name,
        source=request.archive.location.address,
        start=plan.files[0].date,
        end=plan.files[-1].date,
        options=request.options,
        missing=tuple(plan.missing),
        incomplete={
            f"{window.kind}/{window.label}": lacking
            for window, lacking in plan.incomplete().items()
            if not files.keys().isdisjoint(request.names_of(window))
        },
        totals=msgspec.structs.replace(days.totals, reasons=rejects.reasons),
        unknown_origins=tuple(unknown),
        strays=tuple(sorted(strays)),
        shrunk={
            day: Shrunk(before[day], n) for day, n in now.items() if 2 * n < before.get(day, 0)
        },
        absent={day: n for day, n in sorted(before.items()) if day not in now},
        files=dict(sorted(files.items())),
        lost=dict(sorted(lost.items())),
    )


def _compute(plan: Plan, client: Client, hear: _Hear) -> list[Any]:
    """Compute the outputs of a plan in a single graph, hearing what its tasks report."""
    client.subscribe_topic(TOPIC, hear)
    try:
        return compute(client, tuple(plan.outputs), plan.about, keep_going=plan.policy.keep_going)
    finally:
        with suppress(Exception):  # when the scheduler is gone
            client.unsubscribe_topic(TOPIC)


def _hear(progress: Progress | None, tell: Tell, event: tuple[float, dict[str, Any]]) -> None:
    """Pass on what a task reports: how far it is, or a note for the user."""
    report = event[1]
    if "note" in report:
        tell(report["note"])
        return
    files = " to ".join(dict.fromkeys(report["files"]))
    log.info("counted %s: %d bytes, %d launches", files, report["bytes"], report["events"])
    if progress is not None:
        progress(report["bytes"], report["events"])


@contextmanager
def _warnings_of_workers(client: Client) -> Iterator[None]:
    """Forward warnings from workers in other processes, if logging is on."""
    if not log.isEnabledFor(logging.INFO) or os.getpid() in client.run(os.getpid).values():
        yield
        return
    client.forward_logging(_PACKAGE, logging.WARNING)
    try:
        yield
    finally:
        with suppress(Exception):  # when the scheduler is gone
            client.unforward_logging(_PACKAGE)
