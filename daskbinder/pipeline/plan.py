"""A plan: what a run will read, compute and write, checked before it starts.

A plan is immutable. `revise` derives a new one from what only the run can find out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import dask
import msgspec
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder.archive.archive import Archive
from daskbinder.archive.dayfiles import DayFile
from daskbinder.dataset import journal
from daskbinder.dataset.layout import (
    ACTIVE,
    DAYS,
    DIRECTORY,
    MANIFEST,
    REJECTS,
    federation_name,
    repositories_name,
)
from daskbinder.dataset.manifest import read_manifest
from daskbinder.errors import InputError
from daskbinder.model.federation import Federation
from daskbinder.model.launch import VERSIONS
from daskbinder.model.windows import GRAINS, KINDS, Window
from daskbinder.pipeline.blocks import Block, digest
from daskbinder.pipeline.graph import GraphBuilder, Outputs
from daskbinder.pipeline.incremental import Update, find_damaged, find_earlier
from daskbinder.pipeline.request import CountRules, Request, RunPolicy
from daskbinder.storage.backend import Fingerprint
from daskbinder.storage.location import Location
from daskbinder.text import plural


@dataclass(frozen=True)
class Plan:
    """What a run will read, compute and write.

    Attributes
    ----------
    request : Request
        What to count.
    policy : RunPolicy
        How the run goes about it.
    update : Update
        What must be read, and what the run builds on.
    windows : dict of Window to bool
        The windows to write; those marked False are written only if they hold launches.
    outputs : Outputs of Delayed
        Everything to compute, in a single graph.
    blocks : tuple of tuple of Part
        What each task reads.
    base : mapping
        Version of the manifest it builds on; detects concurrent writers.
    token : str
        Identifies the request together with the data set it builds on.
    """

    request: Request
    policy: RunPolicy
    update: Update
    windows: dict[Window, bool] = field(repr=False)
    outputs: Outputs[Delayed] = field(repr=False)
    blocks: tuple[Block, ...] = field(repr=False)
    base: Fingerprint
    token: str

    @property
    def dest(self) -> Location:
        """Where the results go."""
        return self.request.dest

    @property
    def files(self) -> tuple[DayFile, ...]:
        """The day files that the results cover, read again or not."""
        return self.request.files

    @property
    def bytes(self) -> int:
        """Bytes to read."""
        return sum(part.length for block in self.blocks for part in block)

    @property
    def read(self) -> set[DayFile]:
        """Day files to read."""
        return {part.file for block in self.blocks for part in block}

    @property
    def launches_kept(self) -> int:
        """Launches in the files that are not read again."""
        return sum(row["accepted"] for row in self.update.kept_days(self.request.present))

    @property
    def n_tasks(self) -> int:
        """Number of tasks in the graph."""
        return len(set().union(*(output.__dask_graph__().keys() for output in self.outputs)))

    @cached_property
    def names(self) -> list[str]:
        """Names below DEST of the files that may be written or replaced."""
        request = self.request
        names = [name for window in self.windows for name in request.names_of(window)]
        if self.outputs.series is not None:
            names += map(federation_name, request.grains)
            names += [
                repositories_name(month)
                for month in request.months
                if self.update.recounts(month.dates())
            ]
        if self.outputs.repositories is not None:
            names += [DIRECTORY, ACTIVE]
        return [*names, DAYS, REJECTS]

    @property
    def standing(self) -> set[str]:
        """Files of the earlier run that stay as they are."""
        names = {name for window in self.request.windows for name in self.request.names_of(window)}
        names |= {DIRECTORY, ACTIVE, *map(repositories_name, self.request.months)}
        return (names & self.update.files) - set(self.names)

    @property
    def missing(self) -> list[date]:
        """Dates between the first and the last day file that have no file."""
        return list(self.request.present.gaps)

    def incomplete(self) -> dict[Window, tuple[date, ...]]:
        """Windows with missing day files, and the missing dates."""
        present = set(self.request.present)
        lacking = {
            window: tuple(day for day in window.dates() if day not in present)
            for window in self.request.windows
        }
        return {window: days for window, days in lacking.items() if days}

    def about(self, key: object) -> str:
        """Describe a task for the user: the day files it reads, or its name."""
        for block in self.blocks:
            first, last = block[0].file, block[-1].file
            if str(key).startswith(f"count-block-{first.date}.{block[0].start}-"):
                return first.name if first == last else f"{first.name} to {last.name}"
        return f"the task {key}"

    def visualize(self, filename: str | Path | None = "plan", **options: Any) -> Any:
        """Draw the graph, as `dask.visualize` does; needs graphviz."""
        return dask.visualize(*self.outputs, filename=filename and str(filename), **options)

    def __str__(self) -> str:
        first, last = self.files[0].date, self.files[-1].date
        counts = {kind: sum(window.kind == kind for window in self.windows) for kind in KINDS}
        windows = ", ".join(f"{n:,} {kind}" for kind, n in counts.items() if n)
        return "\n".join(
            [
                f"covers  {plural(len(self.files), 'day file')}, {first} to {last}, "
                f"{plural(len(self.missing), 'day')} missing",
                f"reads   {plural(len(self.read), 'day file')}, {self.bytes:,} bytes",
                f"from    {self.request.archive.location}",
                f"blocks  {len(self.blocks):,}, read {self.policy.block_bytes:,} bytes at a time",
                f"tasks   {self.n_tasks:,}",
                f"writes  {plural(len(self.names), 'file')}",
                f"windows {windows}; by {', '.join(self.request.grains)}",
                f"to      {self.dest}",
            ]
        )


def plan(
    archive: Archive,
    dest: str | Path,
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    windows: Collection[str] = KINDS,
    grains: Collection[str] = GRAINS,
    errors: Literal["record", "raise"] = "record",
    compat: Literal["notebook"] | None = None,
    accept_versions: Iterable[int] = (),
    federation: Federation | None = None,
    blocksize: int | Literal["auto"] = "auto",
    full: bool = False,
    keep_going: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a run: one graph for all rollups, the federation series, the day table and the rejects.

    Parameters
    ----------
    archive : Archive
        The archive.
    dest : str or Path
        Folder or URL for the results.
    start, end : datetime.date or str, optional
        First and last file date, both included.
    windows : collection of str
        Any of ``"daily"``, ``"weekly"``, ``"monthly"``.
    grains : collection of str
        Any of ``"hour"``, ``"day"``.
    errors : {"record", "raise"}
        Whether a rejected line is recorded or ends the run.
    compat : {None, "notebook"}
        ``"notebook"`` reproduces the older pandas notebook instead.
    accept_versions : iterable of int
        Schema versions to accept in addition to the known ones.
    federation : Federation, optional
        Maps origins to federation members; by default the table of the archive's instance.
    blocksize : int or "auto"
        Bytes of the archive that a task holds at a time; by default 64 MiB, or what fits into the
        memory of the cluster's workers. Results do not depend on it.
    full : bool
        Recount everything, whatever an earlier run left. Otherwise only what changed is read.
    keep_going : bool
        Leave out day files that cannot be read, even those that an earlier run could read, and list
        them in the manifest; the next run retries them. Otherwise they end the run.
    storage_options : mapping, optional
        fsspec options for the file system of `dest`.

    Returns
    -------
    Plan
        Lazy; pass it to `run`.

    Raises
    ------
    InputError
        When an option makes no sense or no day file is in the range.

    Examples
    --------
    >>> import daskbinder as db
    >>> plan = db.plan(db.Archive("archive"), "new", end="2021-02-28", windows=["monthly"])
    >>> print(str(plan).splitlines()[0])
    covers  5 day files, 2021-02-24 to 2021-02-28, 0 days missing
    """
    if blocksize != "auto" and blocksize < 1:
        raise InputError(f"a block has at least one byte, not {blocksize}")
    if errors not in ("record", "raise") or compat not in (None, "notebook"):
        raise InputError("errors is 'record' or 'raise', compat is None or 'notebook'")
    kinds, grains = _among(KINDS, windows, "windows"), _among(GRAINS, grains, "grains")
    files = archive.select(start, end)
    if not files:
        raise InputError(f"{archive.location} has no day file in the range asked for")
    location = Location.at(dest, storage_options)
    if location.path() == archive.location.path():
        raise InputError(f"{location} is the archive; give another folder for the results")
    versions = VERSIONS | set(accept_versions)
    request = Request(
        archive,
        location,
        files,
        kinds,
        grains,
        CountRules(versions, archive.instance.origin, compat, errors),
        federation or archive.instance.federation or Federation.load(),
        datetime.now(UTC).date(),
    )
    return _plan(request, RunPolicy(None if blocksize == "auto" else blocksize, keep_going, full))


def _among(known: Collection[str], given: Collection[str], what: str) -> tuple[str, ...]:
    """Put names in the order of the known ones; refuse unknown names."""
    if not given or not set(given) <= set(known):
        raise InputError(f"{what} are some of {', '.join(known)}; got {', '.join(given) or 'none'}")
    return tuple(name for name in known if name in given)


def _plan(request: Request, policy: RunPolicy) -> Plan:
    """Plan a request, building on an earlier data set if it can be trusted."""
    dest = request.dest
    base = dest.stamp(MANIFEST)
    manifest = read_manifest(dest, broken_is_none=policy.full)
    pending = journal.read_pending(dest)
    full = policy.full or request.rules.compat is not None or manifest is None
    replaced = (pending.names if pending else None) or ()
    damaged = set() if full else find_damaged(dest, manifest, replaced)
    options = msgspec.to_builtins(request.options)
    token = tokenize(options, digest(request.files), base, policy.full, sorted(damaged))[:16]
    suspects: Collection[str] | None = []
    if pending is not None and pending.token == token:
        full = full or pending.from_scratch
    elif pending is not None:
        suspects = pending.names
    earlier = None
    if not full and not damaged & {REJECTS, DAYS, *map(federation_name, GRAINS)}:
        earlier = find_earlier(dest, manifest, request.options, suspects, damaged)
    update = Update.of(earlier, request.files, request.dates_of(damaged))
    finished = journal.finished(dest) if pending and not policy.full else set()
    return _build(request, policy, update, base, token, finished)


def revise(
    plan: Plan,
    *,
    without: Collection[str] = (),
    recount: Collection[date] = (),
    blocksize: int | None = None,
) -> Plan:
    """Derive a plan from another: finished tasks stay finished, dates to recount are only added.

    Parameters
    ----------
    plan : Plan
        The plan.
    without : collection of str
        Names of day files to leave out.
    recount : collection of datetime.date
        Further dates to recount.
    blocksize : int, optional
        New number of bytes that a task holds at a time; only before the run begins.
    """
    files = tuple(file for file in plan.files if file.name not in without)
    request = replace(plan.request, files=files)
    policy = replace(plan.policy, blocksize=blocksize or plan.policy.blocksize)
    dates = {*(plan.update.dates or ()), *recount}
    update = Update.of(plan.update.earlier, files, dates)
    has_begun = blocksize is None  # then every receipt is this run's own or usable by it
    use_receipts = journal.read_pending(plan.dest) and (has_begun or not policy.full)
    finished = journal.finished(plan.dest) if use_receipts else set()
    return _build(request, policy, update, plan.base, plan.token, finished)


def _build(
    request: Request,
    policy: RunPolicy,
    update: Update,
    base: Fingerprint,
    token: str,
    finished: Collection[str],
) -> Plan:
    windows = {
        window: always
        for window, always in request.windows.items()
        if update.recounts(window.dates())
    }
    builder = GraphBuilder(request, policy, update, token, finished)
    outputs = builder.outputs(windows)
    return Plan(request, policy, update, windows, outputs, builder.blocks_read(), base, token)
