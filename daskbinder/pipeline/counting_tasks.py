"""Tasks that read and count: plain functions from day files to counts.

Each may run on any worker and may be retried; the same input gives the same value. Nothing here
knows about the graph.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from daskbinder.archive.losses import refuse_losses
from daskbinder.archive.reading import Data, Part, find_lost, read_lines
from daskbinder.counting.counts import EMPTY, Counts, count, count_rounded, merge
from daskbinder.counting.kernel import load_compiled
from daskbinder.counting.members import MemberCounts, count_members
from daskbinder.counting.scan import TEXT_KEPT, Body, Scan, Scanner, Tally
from daskbinder.errors import InputError, LostFiles
from daskbinder.model.dates import day_number
from daskbinder.model.federation import Federation
from daskbinder.model.windows import Window
from daskbinder.pipeline.request import CountRules, RunPolicy
from daskbinder.redaction import line_without_secrets
from daskbinder.storage import buffers
from daskbinder.storage.location import Location

HOURS = {"hour": 1, "day": 24}
"""Hours per grain."""

TOPIC = "daskbinder"
"""Event topic on which tasks report progress."""

_TALLY_BYTES = 300
"""Approximate memory of a part and its tally."""

Partition = dict[str, Counts]
"""Counts for some dates, by grain."""


@dataclass(frozen=True)
class Counted:
    """The result of counting a block: counts by grain, and the tallies of its parts."""

    counts: Partition
    tallies: tuple[tuple[Part, Tally], ...]

    def __sizeof__(self) -> int:
        counts = sum(counts.__sizeof__() for counts in self.counts.values())
        return counts + _TALLY_BYTES * len(self.tallies)


def count_block(
    source: Location,
    block: Sequence[Part],
    rules: CountRules,
    policy: RunPolicy,
    run_bytes: int = 0,
) -> Counted:
    """Read some parts of day files and count their launches.

    Parameters
    ----------
    source : Location
        Where the day files are.
    block : sequence of Part
        What to read.
    rules, policy
        How to count, and how to go about it.
    run_bytes : int
        Bytes of all day files that the run reads: for enough of them, compiled code counts the
        same faster.

    Raises
    ------
    LostFiles
        When files cannot be read. Names the first, or all of them if the run is to keep going.
    """
    report = _reporter()
    compiled = load_compiled(run_bytes, lambda note: report(note=note))
    try:
        with buffers.read_buffer() as allocate:
            lines = read_lines(source, block, policy.block_bytes, allocate)
            scans = _scans(lines, rules.versions, policy.block_bytes, compiled)
            return _count(scans, rules, report)
    except LostFiles as error:
        if not policy.keep_going:
            raise
        raise LostFiles(error.files | find_lost(source, block)) from error


def _scans(
    lines: Iterable[tuple[Part, Data] | None],
    versions: frozenset[int],
    most_held: int,
    compiled: bool,
) -> Iterator[tuple[list[Part], Scan]]:
    """Scan lines, as many at once as have arrived and may be held; also give their parts."""
    parts: list[Part] = []
    for arrived in lines:
        if arrived is not None:
            part, data = arrived
            if not parts:
                scanner = Scanner(versions, compiled=compiled)
            scanner.add(Body(part.file.name, day_number(part.file.date), data))
            parts.append(part)
        if parts and (arrived is None or scanner.nbytes > most_held):
            yield parts, scanner.scan()
            parts = []
    if parts:
        yield parts, scanner.scan()


def _count(
    scans: Iterable[tuple[list[Part], Scan]], rules: CountRules, report: Callable[..., None]
) -> Counted:
    counted: list[Partition] = []
    tallies: list[tuple[Part, Tally]] = []
    for parts, read in scans:
        for part, tally in zip(parts, read.tallies, strict=True):
            if rules.errors == "raise":
                _raise_first(part, tally)
            tallies.append((part, tally))
        if rules.compat == "notebook":
            counted.append({grain: count_rounded(read, HOURS[grain]) for grain in HOURS})
        else:
            counted.append({"hour": count(read, rules.origin)})
        files = parts[0].file.name, parts[-1].file.name
        report(files=files, bytes=read.bytes, events=len(read.time))
    return Counted(_merged(counted), tuple(tallies))


def _raise_first(part: Part, tally: Tally) -> None:
    if tally.records:
        index, reason, text = min(tally.records)
        where = f"line {index + 1}" + ("" if part.whole else f" after byte {part.start}")
        text = line_without_secrets(text, cut=len(text) >= TEXT_KEPT)
        raise InputError(f"{tally.name}, {where}: {reason}: {text!r}")


def _merged(counted: Sequence[Partition]) -> Partition:
    if len(counted) == 1:
        return counted[0]
    grains = {grain for counts in counted for grain in counts}
    return {grain: merge([counts[grain] for counts in counted]) for grain in sorted(grains)}


def _reporter() -> Callable[..., None]:
    """Make a function that reports to the client, from any thread, if this runs on a worker."""
    from distributed import get_worker

    try:
        log_event = get_worker().log_event
    except ValueError:
        return lambda **report: None
    return lambda **report: log_event(TOPIC, report)


def tallies_of(blocks: Sequence[Counted]) -> list[tuple[Part, Tally]]:
    """Extract the tallies of some blocks, so that their counts can be released.

    Raises
    ------
    LostFiles
        When a file holds no launches.
    """
    refuse_losses(counted.tallies for counted in blocks)
    return [pair for counted in blocks for pair in counted.tallies]


def partition(month: Window, dates: Collection[int] | None, blocks: Sequence[Counted]) -> Partition:
    """Merge the counts of a month from all blocks that may hold its launches.

    If `dates` is given, in days from 1970-01-01, only those are kept.

    Raises
    ------
    LostFiles
        When a file holds no launches; nothing may be written then.
    """
    refuse_losses(counted.tallies for counted in blocks)
    bounds = day_number(month.first), day_number(month.last)
    counts = _merged([{grain: c.between(*bounds) for grain, c in b.counts.items()} for b in blocks])
    counts = counts or {"hour": EMPTY}
    if dates is not None:
        counts = {grain: c.on(dates) for grain, c in counts.items()}
    if "day" not in counts:
        counts = {**counts, "day": counts["hour"].by_day()}
    return counts


def members_of(federation: Federation, partition: Partition) -> MemberCounts:
    """Count a month by federation member."""
    return count_members(partition["hour"], federation)
