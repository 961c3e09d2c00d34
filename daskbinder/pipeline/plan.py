"""Day files in, a plan out: what a run will read, compute and write, known before it begins."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder.archive.archive import Archive
from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.reading import Part
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
from daskbinder.model.dates import DateSet
from daskbinder.model.federation import Federation
from daskbinder.model.launch import VERSIONS
from daskbinder.model.windows import GRAINS, KINDS, Window
from daskbinder.pipeline import counting_tasks
from daskbinder.pipeline.blocks import digest
from daskbinder.pipeline.counting_tasks import Rules
from daskbinder.pipeline.graph import GraphBuilder
from daskbinder.pipeline.incremental import Earlier, Scope, find_damaged, find_earlier, scope_of
from daskbinder.pipeline.request import Request
from daskbinder.storage.backend import Fingerprint
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class Plan:
    """What a run will read, compute and write.

    Attributes
    ----------
    wish : Request
        What is wanted.
    earlier : Earlier or None
        The data set of an earlier run that this one builds on.
    scope : Scope
        The files to read and the dates to count anew.
    stamp : mapping
        Tells the manifest it builds on from any other.
    token : str
        Names the wish together with what it builds on.
    launches_kept : int
        Launches of the files that are not read again.
    blocks : tuple of tuple of Part
        What is read, by task.
    rollups : tuple of Delayed
        Each writes some windows.
    repositories : Delayed or None
        Writes the launches of repositories and their directory; None in compat mode, and where no
        date is counted anew.
    series : Delayed or None
        Writes the federation series; None in compat mode.
    days, rejects : Delayed
        Write the day table and the rejected lines.
    """

    wish: Request
    earlier: Earlier | None = field(repr=False)
    scope: Scope = field(repr=False)
    stamp: Fingerprint
    token: str
    launches_kept: int
    blocks: tuple[tuple[Part, ...], ...] = field(repr=False)
    rollups: tuple[Delayed, ...] = field(repr=False)
    repositories: Delayed | None = field(repr=False)
    series: Delayed | None = field(repr=False)
    days: Delayed = field(repr=False)
    rejects: Delayed = field(repr=False)

    @property
    def archive(self) -> Archive:
        """Where the launches come from."""
        return self.wish.archive

    @property
    def dest(self) -> Location:
        """Where the results go."""
        return self.wish.dest

    @property
    def files(self) -> tuple[DayFile, ...]:
        """The day files the results are about, read again or not."""
        return self.wish.files

    @property
    def grains(self) -> tuple[str, ...]:
        """The grains written."""
        return self.wish.grains

    @property
    def rules(self) -> Rules:
        """How launches are counted."""
        return self.wish.rules

    @cached_property
    def windows(self) -> tuple[tuple[Window, bool], ...]:
        """The windows written; those marked False only if they hold a launch."""
        return tuple(
            (window, always)
            for window, always in self.wish.windows
            if any(map(self.scope.counts_anew, window.dates()))
        )

    @property
    def outputs(self) -> tuple[Delayed, ...]:
        """Everything that is computed, at once and in one graph."""
        perhaps = (one for one in (self.repositories, self.series) if one is not None)
        return (*self.rollups, *perhaps, self.days, self.rejects)

    @property
    def bytes(self) -> int:
        """Bytes that are read."""
        return sum(part.stop - part.start for block in self.blocks for part in block)

    @property
    def read(self) -> set[DayFile]:
        """Day files that are read."""
        return {part.file for block in self.blocks for part in block}

    @property
    def n_tasks(self) -> int:
        """Tasks of the graph."""
        return len(set().union(*(output.__dask_graph__().keys() for output in self.outputs)))

    def name(self, window: Window, grain: str) -> str:
        """Name below DEST of a rollup."""
        return counting_tasks.name_of(window, grain, self.rules.compat)

    @property
    def names(self) -> list[str]:
        """Files below DEST that may be written or replaced."""
        names = [self.name(window, grain) for window, _ in self.windows for grain in self.grains]
        if self.series is not None:
            names += [federation_name(grain) for grain in self.grains]
            names += [
                repositories_name(month)
                for month in self.wish.months
                if any(map(self.scope.counts_anew, month.dates()))
            ]
            names += [DIRECTORY, ACTIVE] if self.repositories is not None else []
        return [*names, DAYS, REJECTS]

    @property
    def standing(self) -> set[str]:
        """Files of the earlier run that stay as they are."""
        if self.earlier is None:
            return set()
        names = {
            self.name(window, grain) for window, _ in self.wish.windows for grain in self.grains
        }
        names |= {DIRECTORY, ACTIVE, *map(repositories_name, self.wish.months)}
        return (names & self.earlier.files.keys()) - set(self.names)

    @property
    def missing(self) -> list[date]:
        """Dates between the first and the last day file that have none."""
        return list(DateSet.of(file.date for file in self.files).gaps)

    def incomplete(self) -> dict[Window, list[date]]:
        """Windows that lack day files, and the dates they lack."""
        present = set(self.wish.present)
        lacking = {
            window: [day for day in window.dates() if day not in present]
            for window, _ in self.wish.windows
        }
        return {window: days for window, days in lacking.items() if days}

    def about(self, key: object) -> str:
        """Say what a task of the graph is about: the day files it reads, or its name."""
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
        counts = {kind: sum(window.kind == kind for window, _ in self.windows) for kind in KINDS}
        windows = ", ".join(f"{n:,} {kind}" for kind, n in counts.items() if n)
        return "\n".join(
            [
                f"covers  {len(self.files):,} day files, {first} to {last}, "
                f"{len(self.missing):,} days missing",
                f"reads   {len(self.read):,} day files, {self.bytes:,} bytes",
                f"from    {self.archive.location}",
                f"blocks  {len(self.blocks):,}, read {self.rules.blocksize:,} bytes at a time",
                f"tasks   {self.n_tasks:,}",
                f"writes  {len(self.names):,} files",
                f"windows {windows}; by {', '.join(self.grains)}",
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
        Of ``"daily"``, ``"weekly"``, ``"monthly"``.
    grains : collection of str
        Of ``"hour"``, ``"day"``.
    errors : {"record", "raise"}
        Whether a rejected line is recorded or ends the run.
    compat : {None, "notebook"}
        ``"notebook"`` reproduces the older pandas notebook instead.
    accept_versions : iterable of int
        Schema versions to accept beside those known.
    federation : Federation, optional
        Who stands behind an origin; by default the table of the archive's instance.
    blocksize : int or "auto"
        Bytes of the archive that a task holds at a time; by default 64 MiB, or what fits into the
        workers of the cluster it is run on. Results do not depend on it.
    full : bool
        Count everything anew, whatever an earlier run left. Otherwise only what changed is read.
    keep_going : bool
        Leave out day files that cannot be read, also those that an earlier run could, and say so in
        the manifest; the next run tries them again. Otherwise they end the run.
    storage_options : mapping, optional
        Arguments of the file system of `dest`, as fsspec takes them.

    Returns
    -------
    Plan
        Lazy; hand it to `run`.

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
    for given, known, what in ((windows, KINDS, "windows"), (grains, GRAINS, "grains")):
        if not given or not set(given) <= set(known):
            raise InputError(
                f"{what} are some of {', '.join(known)}; got {', '.join(given) or 'none'}"
            )
    if errors not in ("record", "raise") or compat not in (None, "notebook"):
        raise InputError("errors is 'record' or 'raise', compat is None or 'notebook'")
    files = archive.select(start, end)
    if not files:
        raise InputError(f"{archive.location} has no day file in the range asked for")

    location = Location.at(dest, storage_options)
    if location.path() == archive.location.path():
        raise InputError(f"{location} is the archive; give another folder for the results")
    wish = Request(
        archive,
        location,
        files,
        tuple(kind for kind in KINDS if kind in windows),
        tuple(grain for grain in GRAINS if grain in grains),
        Rules(
            VERSIONS | set(accept_versions),
            errors,
            compat,
            Rules.blocksize if blocksize == "auto" else blocksize,
            keep_going,
            archive.instance.origin,
        ),
        federation or archive.instance.federation or Federation.load(),
        datetime.now(UTC).date(),
        adapts=blocksize == "auto",
        full=full,
    )
    return _plan(wish)


def _plan(wish: Request) -> Plan:
    """Plan what is wanted, building on what there is in its place."""
    stamp = wish.dest.stamp(MANIFEST)
    manifest = read_manifest(wish.dest, broken_is_none=wish.full)
    anew = wish.full or wish.rules.compat is not None or manifest is None
    target = journal.read_target(wish.dest)
    aimed_at = (target.names or ()) if target else ()
    damaged = set() if anew else find_damaged(wish.dest, manifest, aimed_at)
    token = tokenize(wish.options, digest(wish.files), stamp, wish.full, sorted(damaged))[:16]
    suspects: Collection[str] | None = []
    if target is not None:
        same = target.token == token
        suspects = [] if same else target.names
        anew = anew or (same and target.anew)
    earlier = None
    if not anew and not damaged & {REJECTS, DAYS, *map(federation_name, GRAINS)}:
        earlier = find_earlier(wish.dest, manifest, wish.options, suspects, damaged)
    interrupted = target is not None and not wish.full
    return _build(wish, stamp, token, earlier, wish.dates_of(damaged), interrupted)


def leave_out(plan: Plan, names: Collection[str]) -> Plan:
    """Plan the same again without some day files, but not all; what is done already stands."""
    files = tuple(file for file in plan.files if file.name not in names)
    return _again(plan, replace(plan.wish, files=files), interrupted=True)


def widen(plan: Plan, dates: Collection[date]) -> Plan:
    """Plan the same again, but count these dates anew too."""
    return _again(plan, plan.wish, dates)


def fit(plan: Plan, blocksize: int) -> Plan:
    """Plan the same again in blocks of another size."""
    rules = replace(plan.rules, blocksize=blocksize)
    interrupted = journal.read_target(plan.dest) is not None and not plan.wish.full
    return _again(plan, replace(plan.wish, rules=rules), interrupted=interrupted)


def _again(
    plan: Plan, wish: Request, more: Collection[date] = (), *, interrupted: bool = False
) -> Plan:
    """Plan a changed wish; what the plan counts anew, and more, is counted anew."""
    dates = {*(plan.scope.dates or ()), *more}
    return _build(wish, plan.stamp, plan.token, plan.earlier, dates, interrupted)


def _build(
    wish: Request,
    stamp: Fingerprint,
    token: str,
    earlier: Earlier | None,
    more: Collection[date],
    interrupted: bool,
) -> Plan:
    scope = scope_of(earlier, wish.files, more)
    build = GraphBuilder(
        wish, token, earlier, scope, journal.done(wish.dest) if interrupted else set()
    )
    rollups = tuple(
        build.rollups(kind, span, days) for kind in wish.kinds for span, days in build.endings(kind)
    )
    members = [build.members(span) for span in build.spans] if not wish.rules.compat else []
    tallies = [build.tallies(span) for span in build.by_span]
    series = repositories = None
    if not wish.rules.compat:
        repositories = build.repositories()
        series = build.last(
            counting_tasks.write_series,
            wish.present,
            wish.federation,
            wish.grains,
            build.dates,
        )(members)
    kept = build.kept_days()
    return Plan(
        wish,
        earlier,
        scope,
        stamp,
        token,
        sum(row["accepted"] for row in kept),
        build.blocks_read(),
        rollups,
        repositories,
        series,
        days=build.last(counting_tasks.write_days, wish.today, kept)(build.index(), tallies),
        rejects=build.last(counting_tasks.write_rejects, {row["name"] for row in kept})(tallies),
    )
