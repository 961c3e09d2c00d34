"""What the tasks of the graph do: plain functions from values to values or written files.

Each may run on any worker and may be repeated; the same input gives the same value and the same
file. Nothing here knows the graph that calls it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from daskbinder.archive.dayfiles import DayFile, Part, lost, read_groups
from daskbinder.archive.losses import by_file, refuse_losses
from daskbinder.counting.counts import (
    EMPTY,
    Counts,
    count,
    count_rounded,
    merge,
    secret_in,
    table,
    tables,
)
from daskbinder.counting.counts import read_table as rows_of
from daskbinder.counting.members import MemberCounts, member_series, read_members
from daskbinder.counting.repositories import (
    Directory,
    Visits,
    arrange,
    count_active,
    count_repositories,
    without,
)
from daskbinder.counting.scan import REJECTS_KEPT, TEXT_KEPT, Body, Tally, scan
from daskbinder.dataset.columns import DAY_TABLE, REJECTED_LINES
from daskbinder.dataset.files import (
    Written,
    read_table,
    write_table,
    write_tables,
)
from daskbinder.dataset.layout import (
    ACTIVE,
    DAYS,
    DIRECTORY,
    REJECTS,
    federation_name,
    notebook_name,
    repositories_name,
    rollup_name,
)
from daskbinder.errors import InputError, LostFiles
from daskbinder.model.dates import DateSet, day_number
from daskbinder.model.federation import Federation
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import KEY, VERSIONS, Reason
from daskbinder.model.windows import Window, windows_of
from daskbinder.redaction import line_without_secrets
from daskbinder.storage import buffers
from daskbinder.storage.location import Location

HOURS = {"hour": 1, "day": 24}
"""Hours in each grain."""

TOPIC = "daskbinder"
"""Topic of the events by which tasks tell how far they are."""


@dataclass(frozen=True)
class Rules:
    """How launches are counted.

    Attributes
    ----------
    versions : frozenset of int
        Schema versions that are accepted.
    errors : {"record", "raise"}
        Whether a rejected line is recorded or ends the job.
    compat : {None, "notebook"}
        Whether rollups are those of the contract or those of the older notebook.
    blocksize : int
        Bytes that are held at a time.
    origin : str
        The origin of launches that have none.
    keep_going : bool
        Whether a file that is lost ends the job, or every other of its block is tried too, so that
        the job can go on without them all.
    """

    versions: frozenset[int] = VERSIONS
    errors: Literal["record", "raise"] = "record"
    compat: Literal["notebook"] | None = None
    blocksize: int = 64 << 20
    keep_going: bool = False
    origin: str = MYBINDER.origin


@dataclass(frozen=True)
class Renewal:
    """What is counted anew of a data set that stands.

    Attributes
    ----------
    dates : frozenset of int or None
        Days counted anew, in days from 1970-01-01; None for all.
    standing : frozenset of str
        Names of the files of the run before.
    """

    dates: frozenset[int] | None = None
    standing: frozenset[str] = frozenset()

    def replaced_in(self, name: str, days: range) -> frozenset[int] | None:
        """Days whose rows in a standing file of these days are replaced; None if no row is kept."""
        if self.dates is None or name not in self.standing or self.dates.issuperset(days):
            return None
        return self.dates


_TALLY_BYTES = 300
"""About what a part and its tally take."""


@dataclass(frozen=True)
class Counted:
    """What a block holds: counts by grain, and the tallies of its parts."""

    counts: dict[str, Counts]
    tallies: tuple[tuple[Part, Tally], ...]

    def __sizeof__(self) -> int:
        counts = sum(counts.__sizeof__() for counts in self.counts.values())
        return counts + _TALLY_BYTES * len(self.tallies)


@dataclass(frozen=True)
class Totals:
    """What the files of a data set hold."""

    files: int
    bytes: int
    lines: int
    accepted: int
    rejected: int
    index_mismatches: int


def count_block(source: Location, block: Sequence[Part], rules: Rules) -> Counted:
    """Read some parts of day files and count their launches.

    Raises
    ------
    LostFiles
        When some cannot be read.
    """
    try:
        with buffers.block(rules.blocksize):
            return _count_block(source, block, rules)
    except LostFiles as error:
        if not rules.keep_going:
            raise
        raise LostFiles(error.files | lost(source, block)) from error


def _count_block(source: Location, block: Sequence[Part], rules: Rules) -> Counted:
    counted: list[dict[str, Counts]] = []
    tallies: list[tuple[Part, Tally]] = []
    for bodies in _bodies(source, block, rules.blocksize):
        read = scan([body for _, body in bodies], rules.versions)
        for (part, _), tally in zip(bodies, read.tallies, strict=True):
            if rules.errors == "raise":
                _raise_first(part, tally)
            tallies.append((part, tally))
        if rules.compat == "notebook":
            counted.append({grain: count_rounded(read, HOURS[grain]) for grain in HOURS})
        else:
            counted.append({"hour": count(read, rules.origin)})
        _tell(
            files=(bodies[0][1].name, bodies[-1][1].name),
            bytes=sum(len(body.data) for _, body in bodies),
            events=len(read.time),
        )
    return Counted(_merged(counted), tuple(tallies))


def _bodies(
    source: Location, block: Sequence[Part], size: int
) -> Iterator[list[tuple[Part, Body]]]:
    """Bodies of a block, as many at a time as have come and make up about `size` bytes."""
    for group in read_groups(source, block, size):
        yield [
            (part, Body(part.file.name, day_number(part.file.date), data)) for part, data in group
        ]


def _raise_first(part: Part, tally: Tally) -> None:
    if tally.records:
        index, reason, text = min(tally.records)
        where = f"line {index + 1}" + ("" if part.whole else f" after byte {part.start}")
        text = line_without_secrets(text, cut=len(text) >= TEXT_KEPT)
        raise InputError(f"{tally.name}, {where}: {reason}: {text!r}")


def _merged(counted: Sequence[dict[str, Counts]]) -> dict[str, Counts]:
    if len(counted) == 1:
        return counted[0]
    grains = {grain for counts in counted for grain in counts}
    return {grain: merge([counts[grain] for counts in counted]) for grain in sorted(grains)}


def _tell(**progress: Any) -> None:
    """Tell whoever watches this worker, if this is one, what has been done."""
    from distributed import get_worker

    try:
        get_worker().log_event(TOPIC, progress)
    except ValueError:
        return


def tallies_of(blocks: Sequence[Counted]) -> list[tuple[Part, Tally]]:
    """Keep the tallies of some blocks and let go of their counts.

    Raises
    ------
    LostFiles
        When a file has no launch in it.
    """
    refuse_losses(counted.tallies for counted in blocks)
    return [pair for counted in blocks for pair in counted.tallies]


def partition(
    first: date, last: date, dates: Collection[int] | None, blocks: Sequence[Counted]
) -> dict[str, Counts]:
    """Bring the counts of some dates together, from all blocks that may hold launches of them.

    Of the dates from `first` to `last` only those among `dates` are kept, if these are given.
    """
    bounds = day_number(first), day_number(last)
    counts = _merged([{grain: c.between(*bounds) for grain, c in b.counts.items()} for b in blocks])
    counts = counts or {"hour": EMPTY}
    if dates is not None:
        counts = {grain: c.on(dates) for grain, c in counts.items()}
    if "day" not in counts:
        counts = {**counts, "day": counts["hour"].by_day()}
    return counts


def write_rollups(
    dest: Location,
    kind: str,
    days: DateSet,
    present: DateSet,
    grains: Sequence[str],
    compat: str | None,
    renewal: Renewal,
    partitions: Sequence[dict[str, Counts]],
) -> list[Written]:
    """Write windows from the counts in `partitions`.

    Parameters
    ----------
    dest : Location
        Where to.
    kind : str
        Kind of the windows.
    days, present : DateSet
        Days of the windows, and those among them that have a day file. A window without any of
        these is left out when it holds no launch.
    grains : sequence of str
        The grains.
    compat : {None, "notebook"}
        Which rollups.
    renewal : Renewal
        What was counted anew; what a window holds of other days is taken from its standing file.
    partitions : sequence of dict of Counts
        Counts of the days of these windows, by grain.
    """
    windows = windows_in(kind, days, present, compat)
    counted = _rollups(dest, windows, grains, compat, renewal, partitions)
    if compat:
        rows = [_as_notebook(counts) for _, counts in counted.values()]
        secret = list(map(secret_in, rows))
        written = write_tables(dest, zip(counted, rows, strict=True))
    else:
        written = write_tables(dest, zip(counted, tables(counted.values()), strict=True))
        secret = [counts.secret for _, counts in counted.values()]
    return [replace(file, secret=n) for file, n in zip(written, secret, strict=True)]


def _rollups(
    dest: Location,
    windows: Sequence[tuple[Window, bool]],
    grains: Sequence[str],
    compat: str | None,
    renewal: Renewal,
    partitions: Sequence[dict[str, Counts]],
) -> dict[str, tuple[Window, Counts]]:
    """Names of the rollups of some windows, and what is in them."""
    counted: dict[str, tuple[Window, Counts]] = {}
    for window, always in windows:
        days = range(day_number(window.first), day_number(window.last) + 1)
        hours: Counts | None = None  # where they were added up, they give the days as well
        for grain in grains:
            name = name_of(window, grain, compat)
            if hours is None:
                parts = [part[grain].between(days[0], days[-1]) for part in partitions]
                if (dates := renewal.replaced_in(name, days)) is not None:
                    parts.append(rows_of(read_table(dest, name)).without(dates))
                parts = [part for part in parts if len(part.n)]
                counts = parts[0] if len(parts) == 1 else merge(parts)
                hours = counts if compat is None and grain == "hour" and len(parts) > 1 else None
            else:
                counts = hours.by_day()
            if always or len(counts.n):
                counted[name] = window, counts
    return counted


def windows_in(
    kind: str, days: DateSet, present: DateSet, compat: str | None
) -> list[tuple[Window, bool]]:
    """Windows that hold any of the days, and whether they hold one with a day file."""
    labels = "notebook" if compat == "notebook" else "iso"
    always = set(windows_of(kind, present, labels=labels))
    return [(window, window in always) for window in windows_of(kind, days, labels=labels)]


def name_of(window: Window, grain: str, compat: str | None) -> str:
    """Name below DEST of a rollup."""
    return (notebook_name if compat == "notebook" else rollup_name)(window, grain)


def _as_notebook(counts: Counts) -> pa.Table:
    """Rows as pandas' groupby gives them by default: none with a null, no column of nulls."""
    together = merge([replace(counts, day=np.zeros_like(counts.day))])
    rows = table(together)
    empty = [name for name in KEY if rows[name].null_count == len(rows)]
    rows = rows.drop_columns(empty).drop_null()
    columns = {
        name: rows[name].cast(KEY[name]) if pa.types.is_dictionary(rows[name].type) else rows[name]
        for name in rows.column_names
    }
    return pa.table(columns)


def write_series(
    dest: Location,
    present: DateSet,
    federation: Federation,
    grains: Sequence[str],
    dates: Collection[int] | None,
    parts: Sequence[MemberCounts],
) -> tuple[list[Written], list[str]]:
    """Write the federation series; also return the origins that the table does not know.

    With `dates`, the days counted anew, the others are taken from the series of the run before.
    """
    if dates is not None:
        parts = [*parts, read_members(read_table(dest, federation_name(grains[0])), dates)]
    series = member_series(parts, [day_number(day) for day in present], federation)
    written = [write_table(dest, federation_name(grain), series[grain]) for grain in grains]
    return written, sorted({origin for part in parts for origin in part.unknown})


def write_repositories(
    dest: Location,
    first: date,
    last: date,
    federation: Federation,
    renewal: Renewal,
    partition: dict[str, Counts],
) -> list[Written]:
    """Write the launches of repositories for each month from `first` to `last` that has any.

    What a month holds of days that were not counted anew is taken from its standing file.
    """
    written = []
    for month in windows_of("monthly", DateSet(((first.toordinal(), last.toordinal()),))):
        days = range(day_number(month.first), day_number(month.last) + 1)
        if renewal.dates is not None and renewal.dates.isdisjoint(days):
            continue
        name = repositories_name(month)
        rows = count_repositories(partition["day"].between(days[0], days[-1]), federation)
        if (dates := renewal.replaced_in(name, days)) is not None:
            kept = without(read_table(dest, name), dates)
            rows = arrange(pa.concat_tables([rows, kept]).unify_dictionaries())
        if len(rows):
            written.append(write_table(dest, name, rows))
    return written


def read_visits(
    dest: Location, standing: Sequence[str], written: Sequence[Sequence[Written]] = ()
) -> tuple[list[Written], Visits]:
    """Read which repositories were launched when from the files of some months.

    These are files of the run before, and those `written` now, which are passed on.
    """
    files = [file for of_months in written for file in of_months]
    names = [*standing, *(file.name for file in files)]
    visits = [Visits.of(read_table(dest, name, Visits.COLUMNS)) for name in names]
    return files, Visits.together(visits)


def write_directory(
    dest: Location, present: DateSet, months: Sequence[tuple[Sequence[Written], Visits]]
) -> list[Written]:
    """Write the directory of repositories, and how many were active when.

    Parameters
    ----------
    dest : Location
        Where to.
    present : DateSet
        The days that have a day file.
    months : sequence of tuple
        Files that were written for some months, and the visits of these or other months.

    Returns
    -------
    list of Written
        All files that were written about repositories.
    """
    buffers.let_go()  # all is counted, and this takes as much
    directory = Directory.of(Visits.together([visits for _, visits in months]))
    active = count_active(directory, map(day_number, present))
    return [
        *(file for written, _ in months for file in written),
        write_table(dest, DIRECTORY, directory.table),
        write_table(dest, ACTIVE, active),
    ]


def write_days(
    dest: Location,
    today: date,
    kept: Sequence[dict[str, Any]],
    index: Mapping[date, int],
    tallies: Iterable[Iterable[tuple[Part, Tally]]],
) -> tuple[Written, Totals, list[date], dict[date, int]]:
    """Write the day table, with the rows `kept` of files that were not read again.

    The index has launches by date, as the archive gives them.

    Also returns what was counted, the dates of the files read that hold launches of others, and the
    launches by date of the files read.
    """
    of_files = [(file, [tally for _, tally in pairs]) for file, pairs in by_file(tallies)]
    read = [_day_row(file, of_file) for file, of_file in of_files]
    rows = [*kept, *read]
    rows.sort(key=lambda row: row["date"])
    for row in rows:
        row["indexed"] = index.get(row["date"])
        row["provisional"] = row["date"] >= today - timedelta(days=1)
    days = pa.Table.from_pylist(rows, DAY_TABLE)
    totals = Totals(
        files=len(rows),
        **{
            name: sum(row[name] for row in rows)
            for name in ("bytes", "lines", "accepted", "rejected")
        },
        index_mismatches=sum(row["indexed"] not in (None, row["lines"]) for row in rows),
    )
    strays = [file.date for file, of_file in of_files if any(tally.strays for tally in of_file)]
    launches = {row["date"]: row["accepted"] for row in read}
    return write_table(dest, DAYS, days), totals, strays, launches


def _day_row(file: DayFile, tallies: Sequence[Tally]) -> dict[str, Any]:
    hours = 0
    for tally in tallies:
        hours |= tally.hours
    accepted = sum(tally.accepted for tally in tallies)
    rejected = sum(tally.rejected.total() for tally in tallies)
    return {
        "date": file.date,
        "name": file.name,
        "bytes": file.size,
        "fingerprint": file.fingerprint,
        "lines": accepted + rejected,
        "accepted": accepted,
        "rejected": rejected,
        "hours_present": hours.bit_count(),
    }


def write_rejects(
    dest: Location, kept: Collection[str], tallies: Iterable[Iterable[tuple[Part, Tally]]]
) -> tuple[Written, dict[str, int]]:
    """Write the table of rejected lines; also return how many there are for each reason.

    Of each reason, a file has so many rows of one line each, and one more that stands for the rest.
    The rows of the files named in `kept` are taken from the table of the run before.
    """
    rows: list[dict[str, Any]] = []
    if kept:
        before = read_table(dest, REJECTS).to_pylist()
        rows = [row for row in before if row["name"] in kept]
    for file, of_file in by_file(tallies):
        rejects: dict[Reason, list[dict[str, Any]]] = {}
        above = 0
        for _, tally in of_file:
            for index, reason, text in tally.records:
                row: dict[str, Any] = {"name": file.name, "line": above + index + 1}
                row["reason"] = str(reason)
                rejects.setdefault(reason, []).append(row | {"text": text, "n": 1})
            above += tally.physical
        for reason, recorded in rejects.items():
            total = sum(tally.rejected[reason] for _, tally in of_file)
            del recorded[REJECTS_KEPT + 1 :]
            recorded[-1]["n"] = total - len(recorded) + 1
        rows += (row for recorded in rejects.values() for row in recorded)
    rows.sort(key=lambda row: (row["name"], row["line"]))
    reasons = dict.fromkeys(map(str, Reason), 0)
    for row in rows:
        reasons[str(row["reason"])] += row["n"]
    written = write_table(dest, REJECTS, pa.Table.from_pylist(rows, REJECTED_LINES))
    return written, {reason: n for reason, n in reasons.items() if n}
