"""Day files in, a plan out: one graph of everything a run computes and writes.

Building a plan reads no day file and computes nothing; which cluster runs it, it cannot tell.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder import tasks
from daskbinder.archive import Archive
from daskbinder.dayfile import DayFile, Part
from daskbinder.errors import InputError
from daskbinder.events import VERSIONS
from daskbinder.federation import Federation
from daskbinder.place import Place
from daskbinder.series import count_members
from daskbinder.store import DAYS, REJECTS, federation_name
from daskbinder.tasks import Rules
from daskbinder.windows import GRAINS, KINDS, Window, window_of, windows_of

_DAY = timedelta(days=1)

_GATHERED = 16
"""Blocks whose tallies one task takes over, so that their counts can be let go."""


@dataclass(frozen=True)
class Plan:
    """What a run will read, compute and write.

    Attributes
    ----------
    archive : Archive
        Where the launches come from.
    dest : Place
        Where the results go.
    files : tuple of DayFile
        The day files that are read.
    blocks : tuple of tuple of Part
        What one task reads.
    windows : tuple of (Window, bool)
        The windows written; those marked False only if they hold a launch.
    grains : tuple of str
        The grains written.
    rules : Rules
        How launches are counted.
    federation : Federation
        Who stands behind an origin.
    today : datetime.date
        The UTC date; today's and yesterday's files are provisional.
    rollups : tuple of Delayed
        Each writes some windows.
    series, days, rejects : Delayed
        Write the federation series (None in compat mode), the day table and the rejected lines.
    """

    archive: Archive
    dest: Place
    files: tuple[DayFile, ...]
    blocks: tuple[tuple[Part, ...], ...]
    windows: tuple[tuple[Window, bool], ...]
    grains: tuple[str, ...]
    rules: Rules
    federation: Federation
    today: date
    rollups: tuple[Delayed, ...] = field(repr=False)
    series: Delayed | None = field(repr=False)
    days: Delayed = field(repr=False)
    rejects: Delayed = field(repr=False)

    @property
    def outputs(self) -> tuple[Delayed, ...]:
        """Everything that is computed, at once and in one graph."""
        series = () if self.series is None else (self.series,)
        return (*self.rollups, *series, self.days, self.rejects)

    @property
    def bytes(self) -> int:
        """Bytes that are read."""
        return sum(file.size for file in self.files)

    @property
    def n_tasks(self) -> int:
        """Tasks of the graph."""
        return len(set().union(*(output.__dask_graph__().keys() for output in self.outputs)))

    def name(self, window: Window, grain: str) -> str:
        """Name below DEST of a rollup."""
        return tasks.name_of(window, grain, self.rules.compat)

    @property
    def names(self) -> list[str]:
        """Files below DEST that are written, those left out when empty included."""
        names = [self.name(window, grain) for window, _ in self.windows for grain in self.grains]
        if self.series is not None:
            names += [federation_name(grain) for grain in self.grains]
        return [*names, DAYS, REJECTS]

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
            for window, _ in self.windows
        }
        return {window: days for window, days in lacking.items() if days}

    def about(self, key: object) -> str:
        """Say what a task of the graph is about: the day files it reads, or its name."""
        for number, block in enumerate(self.blocks):
            first, last = block[0].file, block[-1].file
            if str(key).startswith(f"count-block-{first.date}.{number}-"):
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
                f"reads   {len(self.files):,} day files, {first} to {last}, "
                f"{self.bytes:,} bytes, {len(self.missing):,} days missing",
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

    rules = Rules(VERSIONS | set(accept_versions), errors, compat, blocksize)
    place = Place.at(dest, storage_options)
    if place.path() == archive.place.path():
        raise InputError(f"{place} is the archive; give another folder for the results")
    kinds = tuple(kind for kind in KINDS if kind in windows)
    ordered = tuple(grain for grain in GRAINS if grain in grains)
    federation = federation or Federation.load()
    blocks = tuple(_blocks(files, blocksize))
    chosen = _windows(files, kinds, compat)
    today = datetime.now(UTC).date()

    token = tokenize(archive.place, place, blocks, rules, kinds, ordered, federation, today)[:12]
    lazy = partial(_lazy, token)
    counted = [
        lazy(tasks.count_block, f"{block[0].file.date}.{i}", archive.place, block, rules)()
        for i, block in enumerate(blocks)
    ]
    tallies = [
        lazy(tasks.tallies_of, str(i))(counted[i : i + _GATHERED])
        for i in range(0, len(counted), _GATHERED)
    ]
    months = windows_of("monthly", _reach(files, compat))
    margin = timedelta() if compat else _DAY
    partitions = {
        month: lazy(tasks.partition, month.label, month.first, month.last)(
            [
                one
                for block, one in zip(blocks, counted, strict=True)
                if _overlap(block, month, margin)
            ],
        )
        for month in months
    }
    rollups = []
    for (kind, label), group in groupby(
        chosen, key=lambda pair: (pair[0].kind, window_of("monthly", pair[0].last).label)
    ):
        some = list(group)
        needed = [
            part
            for month, part in partitions.items()
            if month.first <= some[-1][0].last and some[0][0].first <= month.last
        ]
        rollups.append(
            lazy(tasks.write_rollups, f"{kind}-{label}", place, some, ordered, compat)(needed)
        )
    series = None
    if compat is None:
        members = [
            lazy(_count_members, month.label, federation)(part)
            for month, part in partitions.items()
        ]
        present = [file.date for file in files]
        series = lazy(tasks.write_series, "all", place, present, federation, ordered)(members)
    return Plan(
        archive,
        place,
        files,
        blocks,
        chosen,
        ordered,
        rules,
        federation,
        today,
        tuple(rollups),
        series,
        days=lazy(tasks.write_days, "all", archive.place, place, today)(tallies),
        rejects=lazy(tasks.write_rejects, "all", place)(tallies),
    )


def _count_members(federation: Federation, partition: dict[str, Any]) -> Any:
    return count_members(partition["hour"], federation)


def _lazy(token: str, task: Any, label: str, *constants: Any) -> Any:
    """Make a lazy call of `task`, named so that the dashboard tells what it is about.

    What is no result of another task is bound to the function: Dask would look for tasks in it.
    """
    name = f"{task.__name__.strip('_').replace('_', '-')}-{label}-{token}"
    lazy = dask.delayed(partial(task, *constants), name=name, pure=True, traverse=False)
    return partial(lazy, dask_key_name=name)


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
