"""Tasks that write the files of a data set: plain functions from counts to files.

Each may run on any worker and may be retried; the same input gives the same file. Nothing here
knows about the graph.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.losses import by_file
from daskbinder.archive.reading import Part
from daskbinder.counting.counts import EMPTY, Counts, merge
from daskbinder.counting.directory import Directory, Visits, count_active
from daskbinder.counting.members import MemberCounts, member_series, read_members
from daskbinder.counting.repositories import arrange, count_repositories, without
from daskbinder.counting.rollup_tables import count_secret, from_table, to_table, to_tables
from daskbinder.counting.scan import REJECTS_KEPT, Tally
from daskbinder.dataset.columns import DAY_TABLE, REJECTED_LINES
from daskbinder.dataset.files import read_table, write_table, write_tables
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
from daskbinder.dataset.manifest import FileEntry, Totals
from daskbinder.model.dates import DateSet, day_number
from daskbinder.model.federation import Federation
from daskbinder.model.launch import KEY, Reason
from daskbinder.model.windows import Window
from daskbinder.pipeline.counting_tasks import Partition
from daskbinder.storage import buffers
from daskbinder.storage.location import Location

Files = dict[str, FileEntry]
"""Files that a task wrote, by name."""

Tallies = Iterable[Iterable[tuple[Part, Tally]]]
"""Tallies of the parts of day files, one piece for each task that extracted them."""


@dataclass(frozen=True)
class CarryOver:
    """What a task keeps from the files that it replaces.

    Attributes
    ----------
    dates : frozenset of int or None
        Dates that are recounted, in days from 1970-01-01; None for all.
    standing : frozenset of str
        Names of the existing files that can be trusted.
    """

    dates: frozenset[int] | None = None
    standing: frozenset[str] = frozenset()

    def dropped_from(self, name: str, days: range) -> frozenset[int] | None:
        """Days to drop from the existing file before merging; None if no row of it is kept."""
        if self.dates is None or name not in self.standing or self.dates.issuperset(days):
            return None
        return self.dates


def write_rollups(
    dest: Location,
    windows: Mapping[Window, bool],
    grains: Sequence[str],
    compat: str | None,
    carry_over: CarryOver,
    partitions: Sequence[Partition],
) -> Files:
    """Write the rollups of some windows from the counts of the months they overlap.

    Parameters
    ----------
    dest : Location
        Where to write.
    windows : dict of Window to bool
        The windows; one marked False is left out if it holds no launches.
    grains : sequence of str
        The grains.
    compat : {None, "notebook"}
        Which kind of rollups.
    carry_over : CarryOver
        Dates that are not recounted are taken from a window's existing file.
    partitions : sequence of Partition
        Counts covering the days of these windows.
    """
    counted: dict[str, tuple[Window, Counts]] = {}
    for window, always in windows.items():
        for grain, counts in _by_grain(
            dest, window, grains, compat, carry_over, partitions
        ).items():
            if always or len(counts.n):
                counted[_name_of(window, grain, compat)] = window, counts
    rows: Iterable[pa.Table]
    if compat:
        rows = [_as_notebook(counts) for _, counts in counted.values()]
        secret = [count_secret(of_window) for of_window in rows]
    else:
        rows = to_tables(counted.values())
        secret = [counts.secret for _, counts in counted.values()]
    written = write_tables(dest, zip(counted, rows, strict=True))
    return {
        name: msgspec.structs.replace(entry, secret=n)
        for (name, entry), n in zip(written.items(), secret, strict=True)
    }


def _by_grain(
    dest: Location,
    window: Window,
    grains: Sequence[str],
    compat: str | None,
    carry_over: CarryOver,
    partitions: Sequence[Partition],
) -> Partition:
    """Counts of a window by grain, from the partitions and from existing files."""
    days = range(day_number(window.first), day_number(window.last) + 1)
    found: Partition = {}
    merged = False
    for grain in grains:
        if merged and grain == "day" and compat is None:  # days follow from the merged hours
            found["day"] = found["hour"].by_day()
            continue
        parts = [partition[grain].between(days[0], days[-1]) for partition in partitions]
        name = _name_of(window, grain, compat)
        if (dropped := carry_over.dropped_from(name, days)) is not None:
            parts.append(from_table(read_table(dest, name)).without(dropped))
        parts = [part for part in parts if len(part.n)]
        merged = len(parts) > 1
        found[grain] = merge(parts) if merged else next(iter(parts), EMPTY)
    return found


def _name_of(window: Window, grain: str, compat: str | None) -> str:
    return (rollup_name if compat is None else notebook_name)(window, grain)


def _as_notebook(counts: Counts) -> pa.Table:
    """Rows as pandas' groupby returns them by default: no row with a null, no all-null column."""
    together = merge([replace(counts, day=np.zeros_like(counts.day))])
    rows = to_table(together)
    empty = [name for name in KEY if rows[name].null_count == len(rows)]
    rows = rows.drop_columns(empty).drop_null()
    columns = {
        name: rows[name].cast(KEY[name]) if pa.types.is_dictionary(rows[name].type) else rows[name]
        for name in rows.column_names
    }
    return pa.table(columns)


class SeriesWritten(NamedTuple):
    """The federation series, and the origins that are not in the federation table."""

    files: Files
    unknown_origins: list[str]


def write_series(
    dest: Location,
    present: DateSet,
    federation: Federation,
    grains: Sequence[str],
    dates: Collection[int] | None,
    parts: Sequence[MemberCounts],
) -> SeriesWritten:
    """Write the federation series.

    If `dates`, the recounted dates, is given, all others are taken from the earlier series.
    """
    if dates is not None:
        parts = [*parts, read_members(read_table(dest, federation_name(grains[0])), dates)]
    series = member_series(parts, [day_number(day) for day in present], federation)
    written = write_tables(dest, ((federation_name(grain), series[grain]) for grain in grains))
    return SeriesWritten(written, sorted({origin for part in parts for origin in part.unknown}))


def write_repositories(
    dest: Location,
    month: Window,
    federation: Federation,
    carry_over: CarryOver,
    partition: Partition,
) -> Files:
    """Write the launches by repository of a month, if it has any.

    Dates that are not recounted are taken from the existing file.
    """
    days = range(day_number(month.first), day_number(month.last) + 1)
    name = repositories_name(month)
    rows = count_repositories(partition["day"].between(days[0], days[-1]), federation)
    if (dropped := carry_over.dropped_from(name, days)) is not None:
        kept = without(read_table(dest, name), dropped)
        rows = arrange(pa.concat_tables([rows, kept]).unify_dictionaries())
    return {name: write_table(dest, name, rows)} if len(rows) else {}


def read_visits(
    dest: Location, standing: Sequence[str], written: Sequence[Files] = ()
) -> tuple[Files, Visits]:
    """Read when each repository was launched, from the files of some months.

    These are the `standing` files of earlier runs and those `written` in this run. The entries of
    the latter are passed on.
    """
    files = {name: entry for of_month in written for name, entry in of_month.items()}
    visits = [Visits.of(read_table(dest, name, Visits.COLUMNS)) for name in (*standing, *files)]
    return files, Visits.together(visits)


def write_directory(
    dest: Location, present: DateSet, months: Sequence[tuple[Files, Visits]]
) -> Files:
    """Write the directory of repositories, and how many were active over time.

    Parameters
    ----------
    dest : Location
        Where to write.
    present : DateSet
        The dates that have a day file.
    months : sequence of tuple
        As `read_visits` returns them.

    Returns
    -------
    dict of str to FileEntry
        All repository files written.
    """
    buffers.release()  # counting is done, and the directory needs as much memory
    directory = Directory.of(Visits.together([visits for _, visits in months]))
    active = count_active(directory, map(day_number, present))
    written = {name: entry for files, _ in months for name, entry in files.items()}
    written[DIRECTORY] = write_table(dest, DIRECTORY, directory.table)
    written[ACTIVE] = write_table(dest, ACTIVE, active)
    return written


class DaysWritten(NamedTuple):
    """The day table and its totals.

    Attributes
    ----------
    file : FileEntry
        The table.
    totals : Totals
        Sums over all day files, without the reasons, which are not known here.
    strays : list of datetime.date
        Dates of the files read that hold launches of another date.
    launches : dict of datetime.date to int
        Launches of each file read.
    """

    file: FileEntry
    totals: Totals
    strays: list[date]
    launches: dict[date, int]


def write_days(
    dest: Location,
    today: date,
    kept: Sequence[dict[str, Any]],
    index: Mapping[date, int],
    tallies: Tallies,
) -> DaysWritten:
    """Write the day table, including the rows `kept` for files that were not read again.

    `index` holds the launches by date from the archive's own index.
    """
    of_files = [(file, [tally for _, tally in pairs]) for file, pairs in by_file(tallies)]
    read = [_day_row(file, of_file) for file, of_file in of_files]
    rows = sorted([*kept, *read], key=lambda row: row["date"])
    for row in rows:
        row["indexed"] = index.get(row["date"])
        row["provisional"] = row["date"] >= today - timedelta(days=1)
    summed = ("bytes", "lines", "accepted", "rejected")
    totals = Totals(
        files=len(rows),
        **{name: sum(row[name] for row in rows) for name in summed},
        index_mismatches=sum(row["indexed"] not in (None, row["lines"]) for row in rows),
        reasons={},
    )
    return DaysWritten(
        write_table(dest, DAYS, pa.Table.from_pylist(rows, DAY_TABLE)),
        totals,
        [file.date for file, of_file in of_files if any(tally.strays for tally in of_file)],
        {row["date"]: row["accepted"] for row in read},
    )


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
        "fingerprint": file.fingerprint_text,
        "lines": accepted + rejected,
        "accepted": accepted,
        "rejected": rejected,
        "hours_present": hours.bit_count(),
    }


class RejectsWritten(NamedTuple):
    """The table of rejected lines, and how many there are for each reason."""

    file: FileEntry
    reasons: dict[str, int]


def write_rejects(dest: Location, kept: Collection[str], tallies: Tallies) -> RejectsWritten:
    """Write the table of rejected lines.

    Per file and reason there are a few rows of one line each, then one that stands for the rest.
    Rows of the files named in `kept` are taken from the earlier table.
    """
    rows: list[dict[str, Any]] = []
    if kept:
        rows = [row for row in read_table(dest, REJECTS).to_pylist() if row["name"] in kept]
    for file, of_file in by_file(tallies):
        rows += _rejected_lines(file, of_file)
    rows.sort(key=lambda row: (row["name"], row["line"]))
    reasons = dict.fromkeys(map(str, Reason), 0)
    for row in rows:
        reasons[str(row["reason"])] += row["n"]
    written = write_table(dest, REJECTS, pa.Table.from_pylist(rows, REJECTED_LINES))
    return RejectsWritten(written, {reason: n for reason, n in reasons.items() if n})


def _rejected_lines(file: DayFile, tallies: Sequence[tuple[Part, Tally]]) -> list[dict[str, Any]]:
    by_reason: dict[Reason, list[dict[str, Any]]] = {}
    above = 0
    for _, tally in tallies:
        for index, reason, text in tally.records:
            row = {"name": file.name, "line": above + index + 1, "reason": str(reason)}
            by_reason.setdefault(reason, []).append(row | {"text": text, "n": 1})
        above += tally.physical
    for reason, rows in by_reason.items():
        total = sum(tally.rejected[reason] for _, tally in tallies)
        del rows[REJECTS_KEPT + 1 :]
        rows[-1]["n"] = total - len(rows) + 1
    return [row for rows in by_reason.values() for row in rows]
