"""The tasks of a plan, as lazy calls that depend on one another: one graph.

Each task is named by what it is made from, so that the same one is recognised wherever it was done.
Building them reads no day file and computes nothing; which cluster runs them, they cannot tell.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import groupby, islice
from typing import Any, TypeVar, cast

import dask
from dask.base import tokenize
from dask.delayed import Delayed

from daskbinder.archive.dayfiles import Part, parts_of, read_index
from daskbinder.archive.losses import refuse_losses
from daskbinder.counting.counts import Counts
from daskbinder.counting.members import count_members
from daskbinder.dataset import journal
from daskbinder.dataset.files import Written
from daskbinder.dataset.layout import ACTIVE, DIRECTORY, REPOSITORIES, repositories_name
from daskbinder.dataset.manifest import FORMAT
from daskbinder.errors import InputError, JobError
from daskbinder.model.dates import DateSet, day_number
from daskbinder.model.federation import Federation
from daskbinder.model.windows import window_of, windows_of
from daskbinder.pipeline import counting_tasks
from daskbinder.pipeline.blocks import (
    Span,
    Start,
    cut_into_blocks,
    digest,
    months_together,
    span_of_month,
    start_of,
)
from daskbinder.pipeline.incremental import Earlier, Scope
from daskbinder.pipeline.request import Request
from daskbinder.storage.location import Location

_DAY = timedelta(days=1)

_MOST_BLOCKS = 6_000
"""Tasks that read, at most; of a larger archive, each reads more, but holds no more at a time."""

_MONTHS_READ = 12
"""Months of repositories that stand and are read by one task."""

T = TypeVar("T")
_Lazy = Callable[..., Delayed]


class GraphBuilder:
    """Makes the tasks of one plan, each at most once, and none whose result is there already."""

    def __init__(
        self, wish: Request, token: str, earlier: Earlier | None, scope: Scope, done: set[str]
    ) -> None:
        self.wish, self.token, self.earlier, self.scope, self.done = (
            wish,
            token,
            earlier,
            scope,
            done,
        )
        self.dates = None if scope.dates is None else frozenset(map(day_number, scope.dates))
        # A cluster may still hold results of these names from a run before: files since replaced.
        places = wish.archive.location, wish.dest
        self.run = tokenize(token, digest(scope.files), scope.dates, *places)[:8]
        self.months = months_together(scope.files)
        self.by_span: dict[Span, list[tuple[Part, ...]]] = {}
        held = wish.rules.blocksize
        size = max(held, sum(file.size for file in scope.files) // _MOST_BLOCKS)
        for span, of_span in groupby(scope.files, key=lambda file: self.span_of(file.date)):
            self.by_span[span] = list(cut_into_blocks(parts_of(of_span, held), size))
        margin = int(wish.rules.compat is None)
        reach = DateSet.of(file.date for file in scope.files).widened(margin, margin)
        self.spans = self.spans_of(reach if scope.dates is None else DateSet.of(scope.dates))
        rules = replace(wish.rules, blocksize=0, keep_going=False)
        self.salt = tokenize(*(location.address for location in places), rules, FORMAT)
        self.keys: dict[Span | Start, str] = {}
        self.counted: dict[Start, Delayed] = {}
        self.read: list[tuple[Part, ...]] = []
        self.partitions: dict[Span, Delayed] = {}

    def span_of(self, day: date) -> Span:
        """Find the months that are brought together with that of a day."""
        return span_of_month(day.year * 12 + day.month - 1, self.months)

    def spans_of(self, days: DateSet) -> dict[Span, None]:
        """Find the spans that hold any of the days, in order."""
        spans: dict[Span, None] = {}
        for first, last in days.runs:
            span = self.span_of(date.fromordinal(first))
            spans[span] = None
            while (after := span.last.toordinal() + 1) <= last:
                span = self.span_of(date.fromordinal(after))
                spans[span] = None
        return spans

    def endings(self, kind: str) -> Iterator[tuple[Span, DateSet]]:
        """Spans in which windows end that are written, and the days of these windows."""
        days = self.wish.days[kind]
        if self.scope.dates is not None:
            anew = windows_of(kind, self.scope.dates)
            days &= DateSet.over((one.first.toordinal(), one.last.toordinal()) for one in anew)
        runs = [(first, window_of(kind, date.fromordinal(last)).last) for first, last in days.runs]
        for span in self.spans_of(DateSet.over((first, last.toordinal()) for first, last in runs)):
            first, last = window_of(kind, span.first), window_of(kind, span.last)
            stop = last.last if last.last <= span.last else last.first - _DAY
            ending = days.between(first.first.toordinal(), stop.toordinal())
            if ending.runs:
                yield span, ending

    def blocks_read(self) -> tuple[tuple[Part, ...], ...]:
        """The blocks that some task asked for."""
        return tuple(sorted(self.read, key=start_of))

    def kept_days(self) -> list[dict[str, Any]]:
        """Rows of the earlier day table whose files are not read again."""
        if self.earlier is None:
            return []
        stands = {file.date for file in self.wish.files} - {file.date for file in self.scope.files}
        return [row for row in self.earlier.days.to_pylist() if row["date"] in stands]

    def count(self, block: tuple[Part, ...]) -> Delayed:
        """Count a block."""
        start = start_of(block)
        if start not in self.counted:
            source, rules = self.wish.archive.location, self.wish.rules
            task = partial(counting_tasks.count_block, source, block, rules)
            name = f"{block[0].file.date}.{block[0].start}"
            key = self._key_of_block(block)
            self.counted[start] = self._lazy(task, name, key)()
            self.read.append(block)
        return self.counted[start]

    def index(self) -> Delayed:
        """Read the archive's index, before anything else.

        Only the last task needs it, but it may be far away, and then all would wait for it.
        """
        task = partial(read_index, self.wish.archive.location, self.wish.archive.instance)
        with dask.annotate(priority=1):
            return self._lazy(task, "all", self._key(self.token))()

    def tallies(self, span: Span) -> Delayed:
        """Take the tallies of some months over, so that their counts can be let go."""
        blocks = self.by_span[span]
        return self._once(
            counting_tasks.tallies_of,
            span.label,
            self._key([*map(self._key_of_block, blocks)]),
            lambda: [self.count(block) for block in blocks],
            "tallies",
            lambda tallies: {part for part, _ in tallies} == {p for block in blocks for p in block},
        )

    def partition(self, span: Span) -> Delayed:
        """Bring the counts of some months together."""
        if span not in self.partitions:
            task = partial(_partition, span.first, span.last, self.dates)
            blocks = self._blocks_of(span)
            self.partitions[span] = self._lazy(task, span.label, self._key_of(span))(
                [self.count(block) for block in blocks]
            )
        return self.partitions[span]

    def members(self, span: Span) -> Delayed:
        """Count some months by federation member."""
        task = partial(_count_members, self.wish.federation)
        key = self._key(self._key_of(span), self.wish.federation.fingerprint)
        return self._once(task, span.label, key, lambda: self.partition(span), "members")

    def rollups(self, kind: str, span: Span, days: DateSet) -> Delayed:
        """Write the windows of one kind that end in the same months."""
        spans = [one for one in self.spans_of(days) if one in self.spans]
        present = self.wish.present & days
        compat, grains = self.wish.rules.compat, self.wish.grains
        standing: frozenset[str] = frozenset()
        if self.earlier is not None:
            names = (
                counting_tasks.name_of(window, grain, compat)
                for window in windows_of(kind, days)
                for grain in grains
            )
            standing = frozenset(name for name in names if name in self.earlier.files)
        task = partial(
            counting_tasks.write_rollups,
            self.wish.dest,
            kind,
            days,
            present,
            grains,
            compat,
            counting_tasks.Renewal(self.dates, standing),
        )
        base = self.token if self.earlier else ""
        inputs = [self._key_of(one) for one in spans]
        key = self._key(inputs, days.runs, present.runs, grains, base)
        label = f"{kind}-{span.label}"
        return self._once(task, label, key, lambda: [self.partition(one) for one in spans])

    def repositories(self) -> Delayed | None:
        """Write the launches of repositories, and after all of them their directory.

        All of these stand where no date is counted anew. They come before rollups of the same
        launches, since the directory waits for all of them.
        """
        standing: frozenset[str] = frozenset()
        if self.earlier is not None:
            files = self.earlier.files
            if not self.dates and {DIRECTORY, ACTIVE} <= files.keys():
                return None
            standing = frozenset(name for name in files if name.startswith(REPOSITORIES))
        anew = {repositories_name(month) for month in windows_of("monthly", self.scope.dates or ())}
        spans = list(self.spans)
        read = []
        with dask.annotate(priority=1):
            # the last months by themselves, since all else is done when they are
            for some in filter(None, (*_some(spans[:-1], _MONTHS_READ), spans[-1:])):
                written = [self._repositories(span, standing & anew) for span in some]
                read.append(self._visits(some[0].label, ())(written))
        for at, names in enumerate(_some(sorted(standing - anew), _MONTHS_READ)):
            read.append(self._visits(f"standing-{at}", names)())
        return self.last(counting_tasks.write_directory, self.wish.present)(read)

    def _visits(self, label: str, standing: Sequence[str]) -> _Lazy:
        """Make a task that reads visits from files that stand, or that other tasks have written."""
        task = partial(counting_tasks.read_visits, self.wish.dest, standing)
        return self._lazy(task, label, self._key(self.token, standing))

    def _repositories(self, span: Span, standing: frozenset[str]) -> Delayed:
        task = partial(
            counting_tasks.write_repositories,
            self.wish.dest,
            span.first,
            span.last,
            self.wish.federation,
            counting_tasks.Renewal(self.dates, standing),
        )
        base = self.token if self.earlier else ""
        key = self._key(self._key_of(span), self.wish.federation.fingerprint, base)
        return self._once(task, span.label, key, lambda: self.partition(span))

    def last(self, task: Any, *constants: Any) -> _Lazy:
        """Make a task that ends the plan and is done in every run."""
        bound = partial(task, self.wish.dest, *constants)
        return self._lazy(bound, "all", self._key(self.token, constants))

    def _once(
        self,
        task: Any,
        label: str,
        key: str,
        inputs: Any,
        kind: journal.Kind = "written",
        holds: Callable[[Any], bool] | None = None,
    ) -> Delayed:
        """Make a task that leaves a receipt, or recall its result if it left one that `holds`."""
        name = _name(task, label, key)
        dest = self.wish.dest
        if kind == "written":
            holds = partial(_are_there, dest)
        if name in self.done:
            result = journal.recall(dest, name, kind)
            if result is not None and (holds is None or holds(result)):
                return dask.delayed(result, name=f"recalled-{name}", traverse=False)
        kept = partial(journal.remember, dest, name, kind, task)
        return self._lazy(kept, label, key, of=task)(inputs())

    def _lazy(self, task: Any, label: str, key: str, *, of: Any = None) -> _Lazy:
        """Make a lazy call of `task`, named so that the dashboard tells what it is about.

        It is called with results of other tasks and lists of such; all else is bound to it. Dask
        gets the lists unfolded: it would copy the graph behind each to look into it.
        """
        name = f"{_name(of or task, label, key)}-{self.run}"

        def call(*inputs: Delayed | list[Delayed]) -> Delayed:
            sizes = [len(one) if isinstance(one, list) else None for one in inputs]
            flat = [each for one in inputs for each in (one if isinstance(one, list) else [one])]
            lazy = dask.delayed(partial(_fold, task, sizes), name=name, pure=True, traverse=False)
            return cast(Delayed, lazy(*flat, dask_key_name=name))

        return call

    def _blocks_of(self, span: Span) -> list[tuple[Part, ...]]:
        """Blocks that may hold launches of some months: their own, and those just beside."""
        margin = int(self.wish.rules.compat is None)
        days = DateSet.of([span.first, span.last]).widened(margin, margin)
        first, last = days.runs[0][0], days.runs[-1][1]
        near = self.spans_of(DateSet(((first, last),)))
        return [
            block
            for one in near
            for block in self.by_span.get(one, ())
            if first <= block[-1].file.date.toordinal() and block[0].file.date.toordinal() <= last
        ]

    def _key_of(self, span: Span) -> str:
        """Name what the counts of some months are made from."""
        if span not in self.keys:
            dates = None if self.dates is None else sorted(self.dates)
            blocks = [self._key_of_block(block) for block in self._blocks_of(span)]
            self.keys[span] = self._key(span, dates, blocks)
        return self.keys[span]

    def _key_of_block(self, block: tuple[Part, ...]) -> str:
        start = start_of(block)
        if start not in self.keys:
            bounds = [(part.start, part.stop) for part in block]
            self.keys[start] = self._key(digest(part.file for part in block), bounds)
        return self.keys[start]

    def _key(self, *parts: Any) -> str:
        key: str = tokenize(self.salt, parts)
        return key[:16]


def _some(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut items into runs of `size`."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def _fold(task: Any, sizes: Sequence[int | None], *inputs: Any) -> Any:
    """Do a task on inputs of which some are lists, so many of `inputs` each."""
    rest = iter(inputs)
    try:
        return task(*(next(rest) if size is None else [*islice(rest, size)] for size in sizes))
    except (InputError, JobError) as error:
        failed = error
    # what it came from may be of a kind that cannot be sent; the sentence says it all
    failed.__cause__ = failed.__context__ = None
    raise failed.with_traceback(None)


def _are_there(dest: Location, files: Sequence[Written]) -> bool:
    """Whether the files that a task says it wrote are there."""
    with suppress(FileNotFoundError):
        return all(dest.entry(file.name).size == file.bytes for file in files)
    return False


def _partition(
    first: date, last: date, dates: frozenset[int] | None, blocks: Sequence[counting_tasks.Counted]
) -> dict[str, Counts]:
    """Bring counts together if all files are good: where one is lost, nothing is written."""
    refuse_losses(counted.tallies for counted in blocks)
    return counting_tasks.partition(first, last, dates, blocks)


def _count_members(federation: Federation, partition: dict[str, Any]) -> Any:
    return count_members(partition["hour"], federation)


def _name(task: Any, label: str, key: str) -> str:
    while isinstance(task, partial):
        task = task.func
    return f"{task.__name__.strip('_').replace('_', '-')}-{label}-{key}"
