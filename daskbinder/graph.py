"""Day files in, a plan out: one graph of everything a run computes and writes.

Building a plan reads no day file and computes nothing; which cluster runs it, it cannot tell.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder import ledger, tasks
from daskbinder.archive import Archive
from daskbinder.dayfile import DayFile, Part
from daskbinder.errors import InputError
from daskbinder.events import VERSIONS, day_number
from daskbinder.federation import Federation
from daskbinder.place import Place
from daskbinder.refresh import FORMAT, Earlier, Scope, find_earlier, scope_of
from daskbinder.series import count_members
from daskbinder.store import DAYS, MANIFEST, REJECTS, Written, federation_name
from daskbinder.tasks import Rules
from daskbinder.windows import GRAINS, KINDS, Window, window_of, windows_of

_DAY = timedelta(days=1)


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
    """

    archive: Archive
    dest: Place
    files: tuple[DayFile, ...]
    kinds: tuple[str, ...]
    grains: tuple[str, ...]
    rules: Rules
    federation: Federation
    today: date

    @cached_property
    def windows(self) -> tuple[tuple[Window, bool], ...]:
        """All windows, those marked False only if they hold a launch."""
        return _windows(self.files, self.kinds, self.rules.compat)

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
    windows : tuple of (Window, bool)
        The windows written; those marked False only if they hold a launch.
    rollups : tuple of Delayed
        Each writes some windows.
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
    windows: tuple[tuple[Window, bool], ...] = field(repr=False)
    rollups: tuple[Delayed, ...] = field(repr=False)
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

    @property
    def outputs(self) -> tuple[Delayed, ...]:
        """Everything that is computed, at once and in one graph."""
        series = () if self.series is None else (self.series,)
        return (*self.rollups, *series, self.days, self.rejects)

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
        return [*names, DAYS, REJECTS]

    @property
    def standing(self) -> set[str]:
        """Files of the earlier run that stay as they are."""
        if self.earlier is None:
            return set()
        names = {
            self.name(window, grain) for window, _ in self.wish.windows for grain in self.grains
        }
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
        present = {file.date for file in self.files}
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
                f"blocks  {len(self.blocks):,} of at most {self.rules.blocksize:,} bytes",
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
    blocksize: int = Rules.blocksize,
    full: bool = False,
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
        Who stands behind an origin; the packaged table by default.
    blocksize : int
        Bytes of the archive that one task reads.
    full : bool
        Count everything anew, whatever an earlier run left. Otherwise only what changed is read.
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
    if blocksize < 1:
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
        Rules(VERSIONS | set(accept_versions), errors, compat, blocksize),
        federation or Federation.load(),
        datetime.now(UTC).date(),
    )
    stamp = wish.dest.stamp(MANIFEST)
    token = tokenize(wish.options, files, stamp, full)[:16]
    target = ledger.read_target(wish.dest)
    suspects: list[str] | None = []
    if target is not None and target["token"] != token:
        suspects = target["names"]
    anew = full or compat is not None or not stamp
    earlier = None if anew else find_earlier(wish.dest, wish.options, suspects)
    return _build(wish, stamp, token, earlier, (), target is not None)


def widen(plan: Plan, dates: Collection[date]) -> Plan:
    """Plan the same again, but count these dates anew too."""
    return _build(plan.wish, plan.stamp, plan.token, plan.earlier, dates, False)


def _build(
    wish: Wish,
    stamp: str,
    token: str,
    earlier: Earlier | None,
    more: Collection[date],
    interrupted: bool,
) -> Plan:
    scope = scope_of(earlier, wish.files, more)
    chosen = tuple(
        (window, always)
        for window, always in wish.windows
        if any(map(scope.counts_anew, window.dates()))
    )
    build = _Builder(wish, token, earlier, scope, ledger.done(wish.dest) if interrupted else set())
    rollups = tuple(
        build.rollups(list(group))
        for _, group in groupby(
            chosen, key=lambda pair: (pair[0].kind, window_of("monthly", pair[0].last).label)
        )
    )
    members = [build.members(month) for month in build.months] if not wish.rules.compat else []
    tallies = [build.tallies(blocks) for blocks in build.by_month.values()]
    series = None
    if not wish.rules.compat:
        series = build.last(
            tasks.write_series,
            [file.date for file in wish.files],
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
        chosen,
        rollups,
        series,
        days=build.last(partial(tasks.write_days, wish.archive.place), wish.today, kept)(tallies),
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
        self.run = tokenize(token, scope)[:8]
        self.by_month: dict[Window, list[tuple[Part, ...]]] = {}
        for block in _blocks(scope.files, wish.rules.blocksize):
            month = window_of("monthly", block[0].file.date)
            self.by_month.setdefault(month, []).append(block)
        reach = _reach(scope.files, wish.rules.compat) if scope.dates is None else scope.dates
        self.months = windows_of("monthly", reach)
        rules = replace(wish.rules, blocksize=0)
        self.salt = tokenize(wish.archive.place, wish.dest, rules, FORMAT)
        self.keys: dict[Window | tuple[Part, ...], str] = {}
        self.counted: dict[tuple[Part, ...], Delayed] = {}
        self.partitions: dict[Window, Delayed] = {}

    def blocks_read(self) -> tuple[tuple[Part, ...], ...]:
        """The blocks that some task asked for."""
        return tuple(sorted(self.counted, key=lambda block: (block[0].file, block[0].start)))

    def kept_days(self) -> list[dict[str, Any]]:
        """Rows of the earlier day table whose files are not read again."""
        if self.earlier is None:
            return []
        stands = {file.date for file in self.wish.files} - {file.date for file in self.scope.files}
        return [row for row in self.earlier.days.to_pylist() if row["date"] in stands]

    def count(self, block: tuple[Part, ...]) -> Delayed:
        """Count a block."""
        if block not in self.counted:
            name = f"{block[0].file.date}.{block[0].start}"
            task = partial(tasks.count_block, self.wish.archive.place, block, self.wish.rules)
            self.counted[block] = self._lazy(task, name, self._key_of_block(block))()
        return self.counted[block]

    def tallies(self, blocks: Sequence[tuple[Part, ...]]) -> Delayed:
        """Take the tallies of some blocks over, so that their counts can be let go."""
        label = blocks[0][0].file.date.isoformat()[:7]
        return self._once(
            tasks.tallies_of,
            label,
            self._key([*map(self._key_of_block, blocks)]),
            lambda: [self.count(block) for block in blocks],
        )

    def partition(self, month: Window) -> Delayed:
        """Bring the counts of a month together."""
        if month not in self.partitions:
            task = partial(tasks.partition, month.first, month.last, self.dates)
            blocks = self._blocks_of(month)
            self.partitions[month] = self._lazy(task, month.label, self._key_of(month))(
                [self.count(block) for block in blocks]
            )
        return self.partitions[month]

    def members(self, month: Window) -> Delayed:
        """Count a month by federation member."""
        task = partial(_count_members, self.wish.federation)
        key = self._key(self._key_of(month), self.wish.federation.fingerprint)
        return self._once(task, month.label, key, lambda: self.partition(month))

    def rollups(self, windows: Sequence[tuple[Window, bool]]) -> Delayed:
        """Write some windows of one kind that end in the same month."""
        first, last = windows[0][0].first, windows[-1][0].last
        months = [month for month in self.months if month.first <= last and first <= month.last]
        standing = frozenset(self.earlier.files if self.earlier else ())
        task = partial(
            tasks.write_rollups,
            self.wish.dest,
            windows,
            self.wish.grains,
            self.wish.rules.compat,
            self.dates,
            standing,
        )
        base = self.token if standing else ""
        labels = [(window.label, always) for window, always in windows]
        key = self._key([self._key_of(month) for month in months], labels, self.wish.grains, base)
        label = f"{windows[0][0].kind}-{window_of('monthly', last).label}"
        return self._once(task, label, key, lambda: [self.partition(month) for month in months])

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

    def _blocks_of(self, month: Window) -> list[tuple[Part, ...]]:
        margin = timedelta() if self.wish.rules.compat else _DAY
        blocks = (block for blocks in self.by_month.values() for block in blocks)
        return [block for block in blocks if _overlap(block, month, margin)]

    def _key_of(self, month: Window) -> str:
        """Name what the counts of a month are made from."""
        if month not in self.keys:
            dates = None if self.dates is None else sorted(self.dates)
            blocks = [self._key_of_block(block) for block in self._blocks_of(month)]
            self.keys[month] = self._key(month.label, dates, blocks)
        return self.keys[month]

    def _key_of_block(self, block: tuple[Part, ...]) -> str:
        if block not in self.keys:
            self.keys[block] = self._key(block)
        return self.keys[block]

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


def _blocks(files: Sequence[DayFile], size: int) -> Iterable[tuple[Part, ...]]:
    """Cut day files into blocks of about equal size, at most `size` bytes.

    A block does not cross the end of a month; only files larger than a block are cut.
    """
    for _, month in groupby(files, key=lambda file: (file.date.year, file.date.month)):
        of_month = list(month)
        total = sum(file.size for file in of_month)
        target = total / max(-(-total // size), 1)
        block: list[Part] = []
        held = 0
        for file in of_month:
            if block and (held + file.size > size or held >= target):
                yield tuple(block)
                block, held = [], 0
            if file.size > size and not file.compressed:
                yield from (
                    (Part(file, at, min(at + size, file.size)),) for at in range(0, file.size, size)
                )
                continue
            block.append(Part(file, 0, file.size))
            held += file.size
        if block:
            yield tuple(block)


def _reach(files: Iterable[DayFile], compat: str | None) -> set[date]:
    """Dates that launches in these files may belong to."""
    days = {file.date for file in files}
    if compat is None:
        days |= {day - _DAY for day in days if day > date.min}
        days |= {day + _DAY for day in days if day < date.max}
    return days


def _windows(
    files: Sequence[DayFile], kinds: Sequence[str], compat: str | None
) -> tuple[tuple[Window, bool], ...]:
    """Windows to write, and whether each is written even if it holds no launch."""
    present = {file.date for file in files}
    if compat == "notebook":
        return tuple(
            (window, True)
            for kind in kinds
            for window in windows_of(kind, present, labels="notebook")
            if present.issuperset(window.dates())
        )
    always = {window for kind in kinds for window in windows_of(kind, present)}
    return tuple(
        (window, window in always)
        for kind in kinds
        for window in windows_of(kind, _reach(files, compat))
    )


def _overlap(block: Sequence[Part], month: Window, margin: timedelta) -> bool:
    """Whether a block may hold launches of a month."""
    first, last = block[0].file.date, block[-1].file.date
    return (
        month.first.toordinal() - margin.days <= last.toordinal()
        and first.toordinal() <= month.last.toordinal() + margin.days
    )
