"""A run: compute a plan once on a cluster, then publish what it wrote.

The only module that computes.
"""

import logging
import os
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from dask.utils import format_bytes
from distributed import Client

from daskbinder._version import __version__
from daskbinder.cluster.clients import connect
from daskbinder.cluster.execution import compute
from daskbinder.cluster.preflight import LEAST_BLOCK, Tell, block_for, check_places, silent
from daskbinder.cluster.settings import explain_config_errors
from daskbinder.dataset import journal
from daskbinder.dataset.files import Rollups, Written, describe
from daskbinder.dataset.layout import MANIFEST
from daskbinder.dataset.lock import StillHeld, locked
from daskbinder.dataset.manifest import read_manifest, write_manifest
from daskbinder.errors import JobError, LostFiles
from daskbinder.model.dates import beside
from daskbinder.pipeline.counting_tasks import TOPIC
from daskbinder.pipeline.incremental import launches_before
from daskbinder.pipeline.plan import Plan, fit, leave_out, widen

log = logging.getLogger(__name__)
_PACKAGE = "daskbinder"

Progress = Callable[[int, int], None]
"""Told from time to time how many bytes and launches were counted since it was last told."""


@dataclass(frozen=True)
class Result:
    """What a run did.

    Attributes
    ----------
    rollups : Rollups
        The data set, ready to be read.
    bytes : int
        Bytes of day files it read.
    launches : int
        Launches it counted.
    seconds : float
        From the start of the computation to the manifest.
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

    Examples
    --------
    >>> import daskbinder as db
    >>> plan = db.plan(db.Archive("archive"), "new", windows=["weekly"], grains=["day"])
    >>> result = db.run(plan)
    >>> result.launches == result.rollups.manifest["totals"]["accepted"]
    True
    """
    started = time.perf_counter()
    least = LEAST_BLOCK if plan.wish.adapts else plan.rules.blocksize
    block = min(least, plan.bytes)
    with explain_config_errors(), connect(scheduler, block=block, **cluster) as client:
        plan = _fitted(plan, client, cluster.get("tell", silent))
        log.info("run on %s", client.scheduler.address)
        for line in str(plan).splitlines() if log.isEnabledFor(logging.INFO) else ():
            log.info("plan: %s", line)
        check_places(client, plan.archive.location, plan.files[-1], plan.dest)
        with locked(plan.dest) as still_held, _warnings_of_workers(client):
            manifest = _publish(plan, client, progress, still_held)
    launches = manifest["totals"]["accepted"] - plan.launches_kept
    return Result(Rollups(plan.dest, manifest), plan.bytes, launches, time.perf_counter() - started)


def _fitted(plan: Plan, client: Client, tell: Tell) -> Plan:
    """Make blocks smaller, if they may be, so that the workers can hold them."""
    size = plan.rules.blocksize
    if plan.wish.adapts and (fits := block_for(client, size)) < min(size, plan.bytes):
        tell(f"blocks of {format_bytes(fits)} for the memory of the workers")
        return fit(plan, fits)
    return plan


def _publish(
    plan: Plan, client: Client, progress: Progress | None, still_held: StillHeld
) -> dict[str, Any]:
    """Compute a plan and replace the manifest; what no manifest names any more goes after that."""
    stamp = plan.dest.stamp(MANIFEST)
    before = read_manifest(plan.dest, broken_is_none=plan.earlier is None)
    if plan.earlier is not None and stamp != plan.stamp:
        raise JobError(f"{plan.dest} was written to since this run was planned; plan it again")
    launches: Mapping[date, int] = {}
    if before is not None and before.get("instance") == plan.archive.instance.name:
        launches = launches_before(plan.dest, before, plan.earlier, full=plan.wish.full)
    if plan.wish.full:
        journal.forget(plan.dest)
    target = journal.begin(plan.dest, plan.token, plan.names, anew=plan.earlier is None)
    manifest, target = _compute_all(plan, client, progress, target, launches)
    standing = before["files"] if before else {}
    stale = frozenset({*standing, *target.left} - manifest["files"].keys())
    if stale:  # the next run removes them if this one cannot
        journal.aim(plan.dest, replace(target, left=stale))
    still_held()
    write_manifest(plan.dest, manifest, stamp)
    log.info("published %s/%s: %d files", plan.dest, MANIFEST, len(manifest["files"]))
    for name in sorted(stale):
        plan.dest.remove(name)
        log.info("removed %s", name)
    journal.clear(plan.dest)
    return manifest


def _compute_all(
    plan: Plan,
    client: Client,
    progress: Progress | None,
    target: journal.PendingRun,
    before: Mapping[date, int],
) -> tuple[dict[str, Any], journal.PendingRun]:
    """Compute a plan and what turns out to be needed in its place; return also the target then.

    That is a wider one if launches strayed to days it did not count, and one without the files that
    are lost if these are to be left out.
    """
    lost: dict[str, str] = {}
    while True:
        try:
            results = _compute(plan, client, progress)
            beyond = _beyond(plan, results)
            if not beyond:
                found = _manifest(plan, results, before)
                return {**found, "lost": dict(sorted(lost.items()))}, target
            log.info("launches strayed to %d days that were not counted; these too", len(beyond))
            plan = widen(plan, beyond)
        except LostFiles as error:
            if not plan.rules.keep_going or len(error.files) == len(plan.files):
                raise
            lost |= error.files
            for why in error.files.values():
                log.warning("left out: %s", why)
            plan = leave_out(plan, error.files)
        target = target.beside(plan.names)
        journal.aim(plan.dest, target)


def _beyond(plan: Plan, results: list[Any]) -> set[date]:
    """Dates that a file read now holds launches of, but that were not counted anew."""
    if plan.scope.dates is None:
        return set()
    (_, _, strays, _), _ = results[-2:]
    return set().union(*map(beside, strays)) - plan.scope.dates


def _manifest(plan: Plan, results: list[Any], before: Mapping[date, int]) -> dict[str, Any]:
    """State what the data set holds now, and which days have far less than `before`."""
    *rollups, days, rejects = results
    written: list[Written] = []
    unknown: list[str] = []
    if plan.series is not None:
        files, unknown = rollups.pop()
        written += files
    written += [file for files in rollups for file in files]
    (day_file, totals, strays, launches), (reject_file, reasons) = days, rejects
    written += [day_file, reject_file]
    if totals.accepted + totals.rejected != totals.lines:
        raise JobError("accepted and rejected lines do not add up; please report this")
    for file in written:
        log.debug("wrote %s, %d bytes, %d rows", file.name, file.bytes, file.rows)
    files = {file.name: describe(file) for file in written}
    if plan.earlier is not None:
        files |= {name: dict(plan.earlier.files[name]) for name in plan.standing}
        # may name one whose days are gone since: on which days each was seen is not kept
        unknown = sorted({*unknown, *plan.earlier.unknown})
        unread = {file.date for file in plan.files} - {file.date for file in plan.scope.files}
        strays = [*strays, *(plan.earlier.strays & unread)]
    return {
        **_describe(plan, files),
        "totals": {**asdict(totals), "reasons": reasons},
        "unknown_origins": unknown,
        "strays": sorted(day.isoformat() for day in strays),
        **_compared(plan, launches, before),
        "files": dict(sorted(files.items())),
    }


def _compared(
    plan: Plan, launches: Mapping[date, int], before: Mapping[date, int]
) -> dict[str, dict[str, Any]]:
    """Days that have less than half of the launches they had, and days that are there no more.

    Of the former, those read in this run have so many launches; the others are as they were.
    """
    standing = plan.earlier.launches if plan.earlier else {}
    now = {day: launches[day] if day in launches else standing[day] for day in plan.wish.present}
    return {
        "shrunk": {
            day.isoformat(): {"before": before[day], "now": n}
            for day, n in now.items()
            if 2 * n < before.get(day, 0)
        },
        "absent": {day.isoformat(): n for day, n in sorted(before.items()) if day not in now},
    }


def _describe(plan: Plan, written: Container[str]) -> Mapping[str, Any]:
    """What the manifest says of the plan, of whose files only some were `written`."""
    incomplete = {
        f"{window.kind}/{window.label}": [day.isoformat() for day in days]
        for window, days in plan.incomplete().items()
        if any(plan.name(window, grain) in written for grain in plan.grains)
    }
    return {
        "daskbinder": __version__,
        "instance": plan.archive.instance.name,
        "source": plan.archive.location.address,
        "start": plan.files[0].date.isoformat(),
        "end": plan.files[-1].date.isoformat(),
        "options": plan.wish.options,
        "missing": [day.isoformat() for day in plan.missing],
        "incomplete": incomplete,
    }


def _compute(plan: Plan, client: Client, progress: Progress | None) -> list[Any]:
    """Compute the outputs of a plan, all in one graph, telling how far it is."""
    watched = progress is not None or log.isEnabledFor(logging.INFO)

    def hear(event: tuple[float, dict[str, Any]]) -> None:
        done = event[1]
        files = " to ".join(dict.fromkeys(done["files"]))
        log.info("counted %s: %d bytes, %d launches", files, *_sizes(done))
        if progress is not None:
            progress(*_sizes(done))

    if watched:
        client.subscribe_topic(TOPIC, hear)
    try:
        return compute(client, plan.outputs, plan.about, keep_going=plan.rules.keep_going)
    finally:
        if watched:
            with suppress(Exception):  # when the scheduler is gone
                client.unsubscribe_topic(TOPIC)


def _sizes(done: Mapping[str, Any]) -> tuple[int, int]:
    return done["bytes"], done["events"]


@contextmanager
def _warnings_of_workers(client: Client) -> Iterator[None]:
    """Have what workers in other processes log come to this one's log, if anybody reads it."""
    if not log.isEnabledFor(logging.INFO) or os.getpid() in client.run(os.getpid).values():
        yield
        return
    client.forward_logging(_PACKAGE, logging.WARNING)
    try:
        yield
    finally:
        with suppress(Exception):  # when the scheduler is gone
            client.unforward_logging(_PACKAGE)
