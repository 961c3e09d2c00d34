"""The task graph of a run: lazy calls that depend on one another.

A task's name is derived from its inputs, so a finished task is recognised by its receipt. Building
the graph reads no day file and computes nothing, and is independent of the cluster that runs it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import groupby, islice
from typing import Any, Generic, TypeAlias, TypeVar, cast

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder.archive.dayfiles import read_index
from daskbinder.dataset import journal
from daskbinder.dataset.layout import ACTIVE, DIRECTORY, REPOSITORIES, repositories_name
from daskbinder.dataset.manifest import FORMAT
from daskbinder.errors import InputError, JobError
from daskbinder.model.dates import DateSet
from daskbinder.model.windows import Window, window_of, windows_of
from daskbinder.pipeline import counting_tasks, output_tasks
from daskbinder.pipeline.blocks import Block, BlockLayout, digest, start_of
from daskbinder.pipeline.incremental import Update
from daskbinder.pipeline.request import Request, RunPolicy

_MONTHS_READ = 12
"""Monthly repository files that one task reads."""

T = TypeVar("T")
_Input: TypeAlias = "Delayed | list[Delayed]"


@dataclass(frozen=True)
class Outputs(Generic[T]):
    """What a run writes: lazy values before the run, their results after it.

    Attributes
    ----------
    rollups : tuple
        Rollups, by kind of window and month.
    repositories : optional
        Launches by repository and their directory; None in compat mode or if all are up to date.
    series : optional
        The federation series; None in compat mode.
    days, rejects
        The day table and the rejected lines.
    """

    rollups: tuple[T, ...]
    repositories: T | None
    series: T | None
    days: T
    rejects: T

    def __iter__(self) -> Any:
        """Iterate over all values, in a fixed order."""
        optional = (self.repositories, self.series)
        yield from (*self.rollups, *(one for one in optional if one is not None))
        yield from (self.days, self.rejects)

    def with_results(self, results: Iterable[Any]) -> "Outputs[Any]":
        """Replace the lazy values by results, given in the same order."""
        rest = iter(results)
        return Outputs(
            tuple(islice(rest, len(self.rollups))),
            None if self.repositories is None else next(rest),
            None if self.series is None else next(rest),
            next(rest),
            next(rest),
        )


class GraphBuilder:
    """Builds the tasks of one run, each at most once; results that have a receipt are reused.

    Parameters
    ----------
    request, policy, update
        What to count, how to go about it, and what must be read.
    token : str
        Identifies the request together with the data set it builds on.
    finished : collection of str
        Keys of the tasks that have a receipt.
    """

    def __init__(
        self,
        request: Request,
        policy: RunPolicy,
        update: Update,
        token: str,
        finished: Collection[str],
    ) -> None:
        self.request, self.policy, self.update = request, policy, update
        self.token, self.finished = token, finished
        self.margin = int(request.rules.compat is None)
        self.layout = BlockLayout.of(update.read, policy.block_bytes)
        self.run_bytes = sum(file.size for file in update.read)
        read = DateSet.of(file.date for file in update.read).widened(self.margin, self.margin)
        dates = read if update.dates is None else DateSet.of(update.dates)
        self.months = windows_of("monthly", dates)
        locations = request.archive.location, request.dest
        self.salt = tokenize(*(at.address for at in locations), request.rules, FORMAT)
        # A cluster may still hold results under the same names from an earlier run.
        self.run = tokenize(token, digest(update.read), update.dates, *locations)[:8]
        self.block_keys = {block: self._block_key(block) for block in self.layout.blocks}
        self.month_keys = {month: self._month_key(month) for month in self.months}
        self.counted: dict[Block, Delayed] = {}
        self.partitions: dict[Window, Delayed] = {}

    def outputs(self, windows: dict[Window, bool]) -> Outputs[Delayed]:
        """Build everything that a run computes; `windows` are those it writes."""
        request, update = self.request, self.update
        rollups = tuple(
            self.rollups(month, of_month) for month, of_month in _by_kind_and_month(windows)
        )
        repositories = series = None
        if request.rules.compat is None:
            repositories = self.repositories()
            how = request.present, request.federation, request.grains, update.day_numbers
            members = [self.members(month) for month in self.months]
            series = self._final(output_tasks.write_series, how, members)
        tallies = [self.tallies(month) for month in self.layout.by_month]
        kept = update.kept_days(request.present)
        days = self._final(output_tasks.write_days, (request.today, kept), self.index(), tallies)
        names = {row["name"] for row in kept}
        rejects = self._final(output_tasks.write_rejects, (names,), tallies)
        return Outputs(rollups, repositories, series, days, rejects)

    def near(self, month: Window) -> list[Block]:
        """Blocks that may hold launches of a month: its own and the adjacent ones."""
        return self.layout.near(month, self.margin)

    def blocks_read(self) -> tuple[Block, ...]:
        """Blocks that at least one task needs."""
        return tuple(sorted(self.counted, key=start_of))

    def count(self, block: Block) -> Delayed:
        """Count a block."""
        if block not in self.counted:
            request = self.request
            task = partial(
                counting_tasks.count_block,
                request.archive.location,
                block,
                request.rules,
                self.policy,
                self.run_bytes,
            )
            name = f"{block[0].file.date}.{block[0].start}"
            self.counted[block] = self._task(task, name, self.block_keys[block])
        return self.counted[block]

    def index(self) -> Delayed:
        """Read the archive's index before anything else.

        Only the last task needs it, but it may be slow to fetch, and the run would wait for it.
        """
        archive = self.request.archive
        task = partial(read_index, archive.location, archive.instance)
        with dask.annotate(priority=1):
            return self._task(task, "all", self._key(self.token))

    def tallies(self, month: Window) -> Delayed:
        """Extract the tallies of a month, so that its counts can be released."""
        blocks = self.layout.by_month[month]
        parts = {part for block in blocks for part in block}
        return self._once(
            counting_tasks.tallies_of,
            month.label,
            self._key([self.block_keys[block] for block in blocks]),
            lambda: [self.count(block) for block in blocks],
            "tallies",
            lambda tallies: {part for part, _ in tallies} == parts,
        )

    def partition(self, month: Window) -> Delayed:
        """Merge the counts of a month."""
        if month not in self.partitions:
            task = partial(counting_tasks.partition, month, self.update.day_numbers)
            counted = [self.count(block) for block in self.near(month)]
            self.partitions[month] = self._task(task, month.label, self.month_keys[month], counted)
        return self.partitions[month]

    def members(self, month: Window) -> Delayed:
        """Count a month by federation member."""
        federation = self.request.federation
        task = partial(counting_tasks.members_of, federation)
        key = self._key(self.month_keys[month], federation.fingerprint)
        return self._once(task, month.label, key, lambda: self.partition(month), "members")

    def rollups(self, month: Window, windows: dict[Window, bool]) -> Delayed:
        """Write the windows of one kind that end in the same month."""
        request = self.request
        firsts = {_month(day) for window in windows for day in (window.first, window.last)}
        months = [one for one in self.months if one.first in firsts]
        names = [name for window in windows for name in request.names_of(window)]
        task = partial(
            output_tasks.write_rollups,
            request.dest,
            windows,
            request.grains,
            request.rules.compat,
            self.update.carry_over(names),
        )
        inputs = [self.month_keys[one] for one in months]
        written = [(window.label, always) for window, always in windows.items()]
        kind = next(iter(windows)).kind
        key = self._key(inputs, kind, written, request.grains, self._base)
        label = f"{kind}-{month.label}"
        return self._once(task, label, key, lambda: [self.partition(one) for one in months])

    def repositories(self) -> Delayed | None:
        """Write launches by repository for each month, then the directory of repositories.

        None if no date is recounted: the earlier files are then kept. These tasks come before the
        rollups of the same launches, since the directory waits for all of them.
        """
        if not self.months and self.update.files >= {DIRECTORY, ACTIVE}:
            return None
        recounted = {repositories_name(month) for month in self.months}
        standing = {name for name in self.update.files if name.startswith(REPOSITORIES)}
        read = []
        with dask.annotate(priority=1):
            # the last month is read on its own: once it is written, everything else is done
            for months in filter(None, (*_batches(self.months[:-1]), self.months[-1:])):
                written = [self._repositories(month) for month in months]
                read.append(self._visits(months[0].label, (), written))
        for number, names in enumerate(_batches(sorted(standing - recounted))):
            read.append(self._visits(f"standing-{number}", names))
        return self._final(output_tasks.write_directory, (self.request.present,), read)

    def _visits(self, label: str, standing: Sequence[str], *written: list[Delayed]) -> Delayed:
        """Read visits from files kept from the earlier run, or written by other tasks."""
        task = partial(output_tasks.read_visits, self.request.dest, standing)
        return self._task(task, label, self._key(self.token, standing), *written)

    def _repositories(self, month: Window) -> Delayed:
        request = self.request
        task = partial(
            output_tasks.write_repositories,
            request.dest,
            month,
            request.federation,
            self.update.carry_over([repositories_name(month)]),
        )
        key = self._key(self.month_keys[month], request.federation.fingerprint, self._base)
        return self._once(task, month.label, key, lambda: self.partition(month))

    def _final(self, task: Any, constants: Sequence[Any], *inputs: _Input) -> Delayed:
        """Make a final task of the graph, which every run executes."""
        bound = partial(task, self.request.dest, *constants)
        return self._task(bound, "all", self._key(self.token, constants), *inputs)

    def _once(
        self,
        task: Any,
        label: str,
        key: str,
        inputs: Callable[[], _Input],
        kind: journal.Kind = "written",
        is_complete: Callable[[Any], bool] = lambda _: True,
    ) -> Delayed:
        """Make a task that leaves a receipt, or reuse the result of a complete receipt."""
        name, dest = _name(task, label, key), self.request.dest
        if name in self.finished:
            result = journal.recall(dest, name, kind)
            if result is not None and is_complete(result):
                return dask.delayed(result, name=f"recalled-{name}", traverse=False)
        remembered = partial(journal.remember, dest, name, kind, task)
        return _call(remembered, f"{name}-{self.run}", inputs())

    def _task(self, task: Any, label: str, key: str, *inputs: _Input) -> Delayed:
        """Make a task without a receipt, executed whenever its result is needed."""
        return _call(task, f"{_name(task, label, key)}-{self.run}", *inputs)

    @property
    def _base(self) -> str:
        """Identifies the source of rows carried over; empty if everything is counted."""
        return self.token if self.update.earlier else ""

    def _block_key(self, block: Block) -> str:
        bounds = [(part.start, part.stop) for part in block]
        return self._key(digest(part.file for part in block), bounds)

    def _month_key(self, month: Window) -> str:
        """Key of everything that the counts of a month depend on."""
        dates = None if self.update.dates is None else sorted(self.update.dates)
        return self._key(month.label, dates, [self.block_keys[one] for one in self.near(month)])

    def _key(self, *parts: Any) -> str:
        return str(tokenize(self.salt, parts))[:16]


def _by_kind_and_month(
    windows: Mapping[Window, bool],
) -> Iterator[tuple[Window, dict[Window, bool]]]:
    """Group windows by kind and by the month they end in."""
    for (_, first), of_month in groupby(windows, key=lambda one: (one.kind, _month(one.last))):
        yield window_of("monthly", first), {window: windows[window] for window in of_month}


def _month(day: date) -> date:
    """First day of a day's month."""
    return day.replace(day=1)


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _MONTHS_READ] for start in range(0, len(items), _MONTHS_READ)]


def _call(task: Any, name: str, *inputs: _Input) -> Delayed:
    """Call a task lazily on the results of others, single or in lists.

    Lists are flattened for Dask, which would copy the graph behind each one to inspect it.
    """
    sizes = [len(one) if isinstance(one, list) else None for one in inputs]
    flat = [each for one in inputs for each in (one if isinstance(one, list) else [one])]
    lazy = dask.delayed(partial(_unflatten, task, sizes), name=name, pure=True, traverse=False)
    return cast(Delayed, lazy(*flat, dask_key_name=name))


def _unflatten(task: Any, sizes: Sequence[int | None], *inputs: Any) -> Any:
    """Run a task on its inputs, regrouped into lists of the given sizes."""
    rest = iter(inputs)
    try:
        return task(*(next(rest) if size is None else [*islice(rest, size)] for size in sizes))
    except (InputError, JobError) as error:
        failed = error
    # the cause may not be serialisable; the message says it all
    failed.__cause__ = failed.__context__ = None
    raise failed.with_traceback(None)


def _name(task: Any, label: str, key: str) -> str:
    while isinstance(task, partial):
        task = task.func
    return f"{task.__name__.replace('_', '-')}-{label}-{key}"
