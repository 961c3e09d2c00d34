"""Day files in, a plan out: one graph of everything a run computes and writes.

Building a plan reads no day file and computes nothing; which cluster runs it, it cannot tell.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from functools import cache, cached_property, partial
from hashlib import blake2b
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder import ledger, tasks
from daskbinder.archive import Archive
from daskbinder.dayfile import DayFile, Part, parts_of
from daskbinder.days import Days
from daskbinder.errors import InputError
from daskbinder.events import VERSIONS, day_number
from daskbinder.federation import Federation
from daskbinder.place import Place
from daskbinder.refresh import FORMAT, Earlier, Scope, find_damaged, find_earlier, scope_of
from daskbinder.series import count_members
from daskbinder.store import (
    ACTIVE,
    DAYS,
    DIRECTORY,
    MANIFEST,
    REJECTS,
    REPOSITORIES,
    Written,
    federation_name,
    repositories_name,
)
from daskbinder.tasks import Rules
from daskbinder.windows import GRAINS, KINDS, Window, window_of, windows_of

_DAY = timedelta(days=1)

_LONGEST_WAIT = 30
"""Days from any day of a window to its last, at most."""

_MOST_BLOCKS = 6_000
"""Tasks that read, at most; of a larger archive, each reads more, but holds no more at a time."""

_MOST_FILES = 10_000
"""Day files that the graph itself holds, at most."""

_MOST_SPANS = 600
"""Parts of time whose counts meet, at most; of a longer archive, each holds several months."""


@dataclass(frozen=True)
class Wish:
    """What is wanted of an archive, whatever there is already.

    Attributes
    ----------
    archive : Archive
        Where the launches come from.
    dest : Place
        Where the results go.
    files : tuple of DayFile
        The day files the results are about.
    kinds, grains : tuple of str
        The windows and grains wanted.
    rules : Rules
        How launches are counted.
    federation : Federation
        Who stands behind an origin.
    today : datetime.date
        The UTC date; today's and yesterday's files are provisional.
    adapts : bool
        Whether blocks may be made smaller for workers that have little memory.
    """

    archive: Archive
    dest: Place
    files: tuple[DayFile, ...]
    kinds: tuple[str, ...]
    grains: tuple[str, ...]
    rules: Rules
    federation: Federation
    today: date
    adapts: bool = False

    @cached_property
    def present(self) -> Days:
        """Dates that have a day file."""
        return Days.of(file.date for file in self.files)

    @cached_property
    def days(self) -> dict[str, Days]:
        """Days of the windows of each kind: those that launches may belong to.

        The older notebook has complete windows only.
        """
        if self.rules.compat is None:
            return dict.fromkeys(self.kinds, self.present.widened(1, 1))
        present = set(self.present)
        return {
            kind: Days.of(
                day
                for window in windows_of(kind, present)
                if present.issuperset(window.dates())
                for day in window.dates()
            )
            for kind in self.kinds
        }

    @cached_property
    def windows(self) -> tuple[tuple[Window, bool], ...]:
        """All windows, those marked False only if they hold a launch."""
        return tuple(
            (window, always)
            for kind, days in self.days.items()
            for window, always in tasks.windows_in(kind, days, self.present, self.rules.compat)
        )

    @cached_property
    def months(self) -> tuple[Window, ...]:
        """Months that may hold launches of repositories."""
        return tuple(windows_of("monthly", self.present.widened(1, 1)))

    def dates_of(self, names: Collection[str]) -> set[date]:
        """Dates that the rollups and the files of repositories of these names are about."""
        if not names:
            return set()
        compat = self.rules.compat
        about = {
            tasks.name_of(window, grain, compat): window
            for window, _ in self.windows
            for grain in self.grains
        }
        about |= {repositories_name(month): month for month in self.months}
        return {day for name in about.keys() & names for day in about[name].dates()}

    @property
    def options(self) -> dict[str, Any]:
        """What makes results comparable: a run builds only on one with the same options."""
        return {
            "format": FORMAT,
            "source": self.archive.place.url,
            "windows": list(self.kinds),
            "grains": list(self.grains),
            "errors": self.rules.errors,
            "compat": self.rules.compat,
            "versions": sorted(self.rules.versions),
            "origin": self.rules.origin,
            "federation": self.federation.fingerprint,
        }


@dataclass(frozen=True)
class Plan:
    """What a run will read, compute and write.

    Attributes
    ----------
    wish : Wish
        What is wanted.
    earlier : Earlier or None
        The data set of an earlier run that this one builds on.
    scope : Scope
        The files to read and the dates to count anew.
    stamp : str
        Tells the manifest it builds on from any other.
    token : str
        Names the wish together with what it builds on.
    launches_kept : int
        Launches of the files that are not read again.
    blocks : tuple of tuple of Part
        What is read, by task.
    listings : dict
        Day files that the graph does not hold but names: there are too many. A run puts them into
        DEST before it begins.
    rollups : tuple of Delayed
        Each writes some windows.
    repositories : tuple of Delayed
        Write the launches of repositories, the last their directory; none in compat mode.
    series, days, rejects : Delayed
        Write the federation series (None in compat mode), the day table and the rejected lines.
    """

    wish: Wish
    earlier: Earlier | None = field(repr=False)
    scope: Scope = field(repr=False)
    stamp: str
    token: str
    launches_kept: int
    blocks: tuple[tuple[Part, ...], ...] = field(repr=False)
    listings: dict[str, tuple[DayFile, ...]] = field(repr=False)
    rollups: tuple[Delayed, ...] = field(repr=False)
    repositories: tuple[Delayed, ...] = field(repr=False)
    series: Delayed | None = field(repr=False)
    days: Delayed = field(repr=False)
    rejects: Delayed = field(repr=False)

    @property
    def archive(self) -> Archive:
        """Where the launches come from."""
        return self.wish.archive

    @property
    def dest(self) -> Place:
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
        series = () if self.series is None else (self.series,)
        return (*self.rollups, *self.repositories, *series, self.days, self.rejects)

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
        return tasks.name_of(window, grain, self.rules.compat)

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
            names += [DIRECTORY, ACTIVE]
        return [*names, DAYS, REJECTS]

    @property
    def standing(self) -> set[str]:
        """Files of the earlier run that stay as they are."""
        if self.earlier is None:
            return set()
        names = {
            self.name(window, grain) for window, _ in self.wish.windows for grain in self.grains
        }
        names |= set(map(repositories_name, self.wish.months))
        return (names & self.earlier.files.keys()) - set(self.names)

    @property
    def missing(self) -> list[date]:
        """Dates between the first and the last day file that have none."""
        return [
            before.date + _DAY * i
            for before, after in pairwise(self.files)
            for i in range(1, (after.date - before.date).days)
        ]

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
                f"from    {self.archive.place}",
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
    storage_options: dict[str, Any] | None = None,
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
    storage_options : dict, optional
        Arguments of the file system of `dest`, as fsspec takes them.

    Returns
    -------
    Plan
        Lazy; hand it to `run`.

    Raises
    ------
    InputError
        When an option makes no sense or no day file is in the range.
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
        raise InputError(f"{archive.place} has no day file in the range asked for")

    place = Place.at(dest, storage_options)
    if place.path() == archive.place.path():
        raise InputError(f"{place} is the archive; give another folder for the results")
    wish = Wish(
        archive,
        place,
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
    )
    stamp = wish.dest.stamp(MANIFEST)
    anew = full or compat is not None or not stamp
    target = ledger.read_target(wish.dest)
    aimed_at = (target["names"] or ()) if target else ()
    damaged = set() if anew else find_damaged(wish.dest, aimed_at)
    token = tokenize(wish.options, _digest(files), stamp, full, sorted(damaged))[:16]
    suspects: list[str] | None = []
    if target is not None:
        same = target["token"] == token
        suspects = [] if same else target["names"]
        anew = anew or (same and target["anew"])
    earlier = None
    if not anew and not damaged & {REJECTS, DAYS, *map(federation_name, GRAINS)}:
        earlier = find_earlier(wish.dest, wish.options, suspects)
    return _build(wish, stamp, token, earlier, wish.dates_of(damaged), target is not None)


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
    interrupted = ledger.read_target(plan.dest) is not None
    return _again(plan, replace(plan.wish, rules=rules), interrupted=interrupted)


def _again(
    plan: Plan, wish: Wish, more: Collection[date] = (), *, interrupted: bool = False
) -> Plan:
    """Plan a changed wish; what the plan counts anew, and more, is counted anew."""
    dates = {*(plan.scope.dates or ()), *more}
    return _build(wish, plan.stamp, plan.token, plan.earlier, dates, interrupted)


def _build(
    wish: Wish,
    stamp: str,
    token: str,
    earlier: Earlier | None,
    more: Collection[date],
    interrupted: bool,
) -> Plan:
    scope = scope_of(earlier, wish.files, more)
    build = _Builder(wish, token, earlier, scope, ledger.done(wish.dest) if interrupted else set())
    rollups = tuple(
        build.rollups(kind, span, days) for kind in wish.kinds for span, days in build.endings(kind)
    )
    members = [build.members(span) for span in build.spans] if not wish.rules.compat else []
    tallies = [build.tallies(span) for span in build.by_span]
    series, repositories = None, ()
    if not wish.rules.compat:
        repositories = build.repositories()
        series = build.last(
            tasks.write_series,
            wish.present,
            wish.federation,
            wish.grains,
            build.dates,
        )(members)
    kept = build.kept_days()
    source = wish.archive.place, wish.archive.instance
    return Plan(
        wish,
        earlier,
        scope,
        stamp,
        token,
        sum(row["accepted"] for row in kept),
        build.blocks_read(),
        build.listings,
        rollups,
        repositories,
        series,
        days=build.last(partial(tasks.write_days, *source), wish.today, kept)(tallies),
        rejects=build.last(tasks.write_rejects, {row["name"] for row in kept})(tallies),
    )


class _Builder:
    """Makes the tasks of one plan, each at most once, and none whose result is there already."""

    def __init__(
        self, wish: Wish, token: str, earlier: Earlier | None, scope: Scope, done: set[str]
    ) -> None:
        self.wish, self.token, self.earlier, self.scope, self.done = (
            wish,
            token,
            earlier,
            scope,
            done,
        )
        self.dates = None if scope.dates is None else {day_number(day) for day in scope.dates}
        # A cluster may still hold results of these names from a run before: files since replaced.
        self.run = tokenize(token, _digest(scope.files), scope.dates)[:8]
        self.months = _months_together(scope.files)
        self.by_span: dict[_Span, list[tuple[Part, ...]]] = {}
        self.listings: dict[str, tuple[DayFile, ...]] = {}
        self.listing_of: dict[_Start, str] = {}
        held = wish.rules.blocksize
        size = max(held, sum(file.size for file in scope.files) // _MOST_BLOCKS)
        for span, of_span in groupby(scope.files, key=lambda file: self.span_of(file.date)):
            files = tuple(of_span)
            blocks = list(_blocks(parts_of(files, held), size))
            self.by_span[span] = blocks
            if len(scope.files) > _MOST_FILES:
                name = f"{span.label}-{_digest(files)}"
                self.listings[name] = files
                self.listing_of |= dict.fromkeys(map(_start_of, blocks), name)
        margin = int(wish.rules.compat is None)
        reach = Days.of(file.date for file in scope.files).widened(margin, margin)
        self.spans = self.spans_of(reach if scope.dates is None else Days.of(scope.dates))
        rules = replace(wish.rules, blocksize=0, keep_going=False)
        self.salt = tokenize(wish.archive.place, wish.dest, rules, FORMAT)
        self.keys: dict[_Span | _Start, str] = {}
        self.counted: dict[_Start, Delayed] = {}
        self.read: list[tuple[Part, ...]] = []
        self.partitions: dict[_Span, Delayed] = {}

    def span_of(self, day: date) -> "_Span":
        """Find the months that are brought together with that of a day."""
        return _span(day.year * 12 + day.month - 1, self.months)

    def spans_of(self, days: Days) -> dict["_Span", None]:
        """Find the spans that hold any of the days, in order."""
        spans: dict[_Span, None] = {}
        for first, last in days.runs:
            span = self.span_of(date.fromordinal(first))
            spans[span] = None
            while (after := span.last.toordinal() + 1) <= last:
                span = self.span_of(date.fromordinal(after))
                spans[span] = None
        return spans

    def endings(self, kind: str) -> Iterator[tuple["_Span", Days]]:
        """Spans in which windows end that are written, and the days of these windows."""
        days = self.wish.days[kind]
        if self.scope.dates is not None:
            anew = windows_of(kind, self.scope.dates)
            days &= Days.over((one.first.toordinal(), one.last.toordinal()) for one in anew)
        for span in self.spans_of(days.widened(0, _LONGEST_WAIT)):
            first, last = window_of(kind, span.first), window_of(kind, span.last)
            stop = last.last if last.last <= span.last else last.first - _DAY
            ending = days.between(first.first.toordinal(), stop.toordinal())
            if ending.runs:
                yield span, ending

    def blocks_read(self) -> tuple[tuple[Part, ...], ...]:
        """The blocks that some task asked for."""
        return tuple(sorted(self.read, key=_start_of))

    def kept_days(self) -> list[dict[str, Any]]:
        """Rows of the earlier day table whose files are not read again."""
        if self.earlier is None:
            return []
        stands = {file.date for file in self.wish.files} - {file.date for file in self.scope.files}
        return [row for row in self.earlier.days.to_pylist() if row["date"] in stands]

    def count(self, block: tuple[Part, ...]) -> Delayed:
        """Count a block."""
        start = _start_of(block)
        if start not in self.counted:
            source, rules = self.wish.archive.place, self.wish.rules
            task = partial(tasks.count_block, source, block, rules)
            if start in self.listing_of:
                listing = self.wish.dest, self.listing_of[start]
                task = partial(
                    tasks.count_listed, source, *listing, start, _start_of(block[-1:]), rules
                )
            name = f"{block[0].file.date}.{block[0].start}"
            key = self._key_of_block(block)
            self.counted[start] = self._lazy(task, name, key, of=tasks.count_block)()
            self.read.append(block)
        return self.counted[start]

    def tallies(self, span: "_Span") -> Delayed:
        """Take the tallies of some months over, so that their counts can be let go."""
        blocks = self.by_span[span]
        return self._once(
            tasks.tallies_of,
            span.label,
            self._key([*map(self._key_of_block, blocks)]),
            lambda: [self.count(block) for block in blocks],
        )

    def partition(self, span: "_Span") -> Delayed:
        """Bring the counts of some months together."""
        if span not in self.partitions:
            task = partial(tasks.partition, span.first, span.last, self.dates)
            blocks = self._blocks_of(span)
            self.partitions[span] = self._lazy(task, span.label, self._key_of(span))(
                [self.count(block) for block in blocks]
            )
        return self.partitions[span]

    def members(self, span: "_Span") -> Delayed:
        """Count some months by federation member."""
        task = partial(_count_members, self.wish.federation)
        key = self._key(self._key_of(span), self.wish.federation.fingerprint)
        return self._once(task, span.label, key, lambda: self.partition(span))

    def rollups(self, kind: str, span: "_Span", days: Days) -> Delayed:
        """Write the windows of one kind that end in the same months."""
        spans = [one for one in self.spans_of(days) if one in self.spans]
        present = self.wish.present & days
        compat, grains = self.wish.rules.compat, self.wish.grains
        standing: frozenset[str] = frozenset()
        if self.earlier is not None:
            names = (
                tasks.name_of(window, grain, compat)
                for window in windows_of(kind, days)
                for grain in grains
            )
            standing = frozenset(name for name in names if name in self.earlier.files)
        task = partial(
            tasks.write_rollups,
            self.wish.dest,
            kind,
            days,
            present,
            grains,
            compat,
            self.dates,
            standing,
        )
        base = self.token if self.earlier else ""
        inputs = [self._key_of(one) for one in spans]
        key = self._key(inputs, days.runs, present.runs, grains, base)
        label = f"{kind}-{span.label}"
        return self._once(task, label, key, lambda: [self.partition(one) for one in spans])

    def repositories(self) -> tuple[Delayed, ...]:
        """Write the launches of repositories, and after all of them their directory."""
        standing: frozenset[str] = frozenset()
        if self.earlier is not None:
            files = self.earlier.files
            standing = frozenset(name for name in files if name.startswith(REPOSITORIES))
        anew = {repositories_name(month) for month in windows_of("monthly", self.scope.dates or ())}
        written = [self._repositories(span, standing & anew) for span in self.spans]
        present = self.wish.present
        last = self.last(tasks.write_directory, present, sorted(standing - anew))(written)
        return (*written, last)

    def _repositories(self, span: "_Span", standing: frozenset[str]) -> Delayed:
        task = partial(
            tasks.write_repositories,
            self.wish.dest,
            span.first,
            span.last,
            self.wish.federation,
            self.dates,
            standing,
        )
        base = self.token if self.earlier else ""
        key = self._key(self._key_of(span), self.wish.federation.fingerprint, base)
        return self._once(task, span.label, key, lambda: self.partition(span))

    def last(self, task: Any, *constants: Any) -> Any:
        """Make a task that ends the plan and is done in every run."""
        bound = partial(task, self.wish.dest, *constants)
        return self._lazy(bound, "all", self._key(self.token, constants))

    def _once(self, task: Any, label: str, key: str, inputs: Any) -> Delayed:
        """Make a task that leaves a receipt, or recall its result if it left one."""
        name = _name(task, label, key)
        dest = self.wish.dest
        if name in self.done:
            result = ledger.recall(dest, name)
            if _is_there(dest, result):
                return dask.delayed(result, name=f"recalled-{name}", traverse=False)
        kept = partial(ledger.remember, dest, name, task)
        return self._lazy(kept, label, key, of=task)(inputs())

    def _lazy(self, task: Any, label: str, key: str, *, of: Any = None) -> Any:
        """Make a lazy call of `task`, named so that the dashboard tells what it is about.

        What is no result of another task is bound to it: Dask would look for tasks in it.
        """
        name = f"{_name(of or task, label, key)}-{self.run}"
        return partial(dask.delayed(task, name=name, pure=True, traverse=False), dask_key_name=name)

    def _blocks_of(self, span: "_Span") -> list[tuple[Part, ...]]:
        """Blocks that may hold launches of some months: their own, and those just beside."""
        margin = int(self.wish.rules.compat is None)
        days = Days.of([span.first, span.last]).widened(margin, margin)
        first, last = days.runs[0][0], days.runs[-1][1]
        near = self.spans_of(Days(((first, last),)))
        return [
            block
            for one in near
            for block in self.by_span.get(one, ())
            if first <= block[-1].file.date.toordinal() and block[0].file.date.toordinal() <= last
        ]

    def _key_of(self, span: "_Span") -> str:
        """Name what the counts of some months are made from."""
        if span not in self.keys:
            dates = None if self.dates is None else sorted(self.dates)
            blocks = [self._key_of_block(block) for block in self._blocks_of(span)]
            self.keys[span] = self._key(span, dates, blocks)
        return self.keys[span]

    def _key_of_block(self, block: tuple[Part, ...]) -> str:
        start = _start_of(block)
        if start not in self.keys:
            bounds = [(part.start, part.stop) for part in block]
            self.keys[start] = self._key(_digest(part.file for part in block), bounds)
        return self.keys[start]

    def _key(self, *parts: Any) -> str:
        key: str = tokenize(self.salt, parts)
        return key[:16]


def _is_there(dest: Place, result: Any) -> bool:
    """Whether the files that a task says it wrote are there."""
    for item in result if isinstance(result, list) else ():
        if isinstance(item, Written):
            try:
                if dest.entry(item.name).size != item.bytes:
                    return False
            except FileNotFoundError:
                return False
    return True


def _count_members(federation: Federation, partition: dict[str, Any]) -> Any:
    return count_members(partition["hour"], federation)


def _name(task: Any, label: str, key: str) -> str:
    while isinstance(task, partial):
        task = task.func
    return f"{task.__name__.strip('_').replace('_', '-')}-{label}-{key}"


def _blocks(parts: Iterable[Part], size: int) -> Iterable[tuple[Part, ...]]:
    """Put parts of day files into blocks of about equal size, at most `size` bytes."""
    parts = list(parts)
    total = sum(part.stop - part.start for part in parts)
    target = total / max(-(-total // size), 1)
    block: list[Part] = []
    held = 0
    for part in parts:
        length = part.stop - part.start
        if block and (held + length > size or held >= target):
            yield tuple(block)
            block, held = [], 0
        block.append(part)
        held += length
    if block:
        yield tuple(block)


def _start_of(block: Sequence[Part]) -> "_Start":
    """Tell a block from the others of a plan, by less than all that is in it."""
    return block[0].file.date, block[0].start


_Start = tuple[date, int]


class _Span(NamedTuple):
    """Whole months whose counts meet in one task."""

    first: date
    last: date

    @property
    def label(self) -> str:
        """Name of its first month."""
        return self.first.isoformat()[:7]


@cache
def _span(month: int, months: int) -> _Span:
    """Find the span of so many months that holds a month, counted from the year 0."""
    at = month // months * months
    calendar = [divmod(at + i, 12) for i in range(months)]
    inside = [date(year, month + 1, 1) for year, month in calendar if MINYEAR <= year <= MAXYEAR]
    return _Span(inside[0], window_of("monthly", inside[-1]).last)


def _months_together(files: Sequence[DayFile]) -> int:
    """How many months meet in one task: one, unless there were too many tasks."""
    if not files:
        return 1
    first, last = files[0].date, files[-1].date
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    return -(-months // _MOST_SPANS)


def _digest(files: Iterable[DayFile]) -> str:
    """Tell day files as they were listed from any others; fast, for there may be a million."""
    hashed = blake2b(digest_size=16)
    for file in files:
        hashed.update(f"{file.name} {file.size} {file.fingerprint}\n".encode())
    return hashed.hexdigest()
