"""What can be kept of an earlier data set, and what must be read and counted again.

Works on dates, names and fingerprints: reads the earlier manifest and day table, but no day file.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import pyarrow as pa

from daskbinder.archive.dayfiles import DayFile
from daskbinder.dataset.files import is_intact, read_table
from daskbinder.dataset.layout import DAYS, EARLIER_DAYS
from daskbinder.dataset.manifest import FileEntry, Manifest, Options
from daskbinder.errors import InputError
from daskbinder.model.dates import beside, day_number
from daskbinder.pipeline.output_tasks import CarryOver
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class Earlier:
    """A finished data set that a run may build on.

    Attributes
    ----------
    files : dict of str to FileEntry
        Its undamaged files, by name.
    days : list of dict
        The rows of its day table.
    strays : frozenset of datetime.date
        Dates of the day files that hold launches of another date.
    unknown_origins : tuple of str
        Hosts that were not in the federation table.
    """

    files: Mapping[str, FileEntry] = field(repr=False)
    days: Sequence[dict[str, Any]] = field(repr=False)
    strays: frozenset[date]
    unknown_origins: tuple[str, ...]


@dataclass(frozen=True)
class Update:
    """What a run reads and counts again, and what it builds on.

    Attributes
    ----------
    earlier : Earlier or None
        The data set it builds on; None if everything is counted.
    read : tuple of DayFile
        The day files to read.
    dates : frozenset of datetime.date, or None
        The dates to recount; None for all.
    """

    earlier: Earlier | None
    read: tuple[DayFile, ...]
    dates: frozenset[date] | None

    @classmethod
    def of(
        cls, earlier: Earlier | None, files: Sequence[DayFile], more: Collection[date] = ()
    ) -> "Update":
        """Decide what must be read.

        Launches of a date are in its own file and, as strays, in the files of the adjacent days.
        So recounting a date means reading all of these files, and reading a file with strays means
        recounting the adjacent dates. The set grows until both hold.

        Parameters
        ----------
        earlier : Earlier or None
            The data set the run can build on.
        files : sequence of DayFile
            The day files in the current listing.
        more : collection of datetime.date
            Dates to recount even if nothing changed.
        """
        if earlier is None:
            return cls(None, tuple(files), None)
        read = _changed(earlier, files)
        dates = {*read, *more}
        while True:
            dates |= {near for day in read & earlier.strays for near in beside(day)}
            needed = read | dates | {day for day in earlier.strays if beside(day) & dates}
            if needed == read:
                break
            read = needed
        dates |= read
        return cls(earlier, tuple(file for file in files if file.date in read), frozenset(dates))

    def recounts(self, days: Collection[date]) -> bool:
        """Whether any of these dates is recounted."""
        return self.dates is None or not self.dates.isdisjoint(days)

    @cached_property
    def day_numbers(self) -> frozenset[int] | None:
        """The dates to recount, in days from 1970-01-01; None for all."""
        return None if self.dates is None else frozenset(map(day_number, self.dates))

    @property
    def files(self) -> frozenset[str]:
        """Names of the earlier files."""
        return frozenset(self.earlier.files if self.earlier else ())

    def carry_over(self, names: Collection[str]) -> CarryOver:
        """What tasks that write these files need to know about their earlier versions."""
        return CarryOver(self.day_numbers, self.files & set(names))

    def kept_days(self, present: Iterable[date]) -> list[dict[str, Any]]:
        """Rows of the earlier day table whose files still exist and are not read again."""
        if self.earlier is None:
            return []
        stands = set(present) - {file.date for file in self.read}
        return [row for row in self.earlier.days if row["date"] in stands]


def _changed(earlier: Earlier, files: Sequence[DayFile]) -> set[date]:
    """Dates whose file is new, gone, or different from the one that was counted."""
    before = {row["date"]: (row["name"], row["bytes"], row["fingerprint"]) for row in earlier.days}
    now = {file.date: (file.name, file.size, file.fingerprint_text) for file in files}
    return {day for day in before.keys() | now.keys() if before.get(day) != now.get(day)}


def find_earlier(
    dest: Location,
    manifest: Manifest | None,
    options: Options,
    suspects: Collection[str] | None,
    damaged: Collection[str] = (),
) -> Earlier | None:
    """Find an earlier data set that a run with these options can build on.

    Parameters
    ----------
    dest : Location
        Where the data set would be.
    manifest : Manifest or None
        Its manifest.
    options : Options
        The options of this run.
    suspects : collection of str or None
        Names of files that an interrupted run may have replaced; None if unknown.
    damaged : collection of str
        Names of files that are missing or damaged.

    Returns
    -------
    Earlier or None
        None if there is no data set, or not all of it can be trusted.
    """
    if manifest is None or manifest.options != options or DAYS not in manifest.files:
        return None
    files = {name: entry for name, entry in manifest.files.items() if name not in damaged}
    names = files if suspects is None else [name for name in suspects if name in files]
    if not all(is_intact(dest, name, files[name]) for name in names if name != DAYS):
        return None
    days = _day_table(dest, files[DAYS])
    if days is None:
        return None
    return Earlier(files, days.to_pylist(), frozenset(manifest.strays), manifest.unknown_origins)


def _day_table(dest: Location, entry: FileEntry) -> pa.Table | None:
    """Read the day table that a manifest entry describes; None if it is missing or unreadable."""
    for name in (DAYS, EARLIER_DAYS):
        if is_intact(dest, name, entry):
            with suppress(InputError):
                return read_table(dest, name)
    return None


def launches_before(
    dest: Location, manifest: Manifest, earlier: Earlier | None, *, full: bool
) -> dict[date, int]:
    """Launches of each day when it was last counted, as far as the data set records them.

    For a day that shrank, the number before it shrank; for a day whose file is gone, the last
    number known. A full run uses only the latest counts, so that a day that is rightly small is
    reported once.
    """
    found: dict[date, int] = {}
    if earlier is not None:
        found = {row["date"]: row["accepted"] for row in earlier.days}
    elif DAYS in manifest.files and (days := _day_table(dest, manifest.files[DAYS])) is not None:
        found = dict(zip(days["date"].to_pylist(), days["accepted"].to_pylist(), strict=True))
    if not full:
        found |= {day: n.before for day, n in manifest.shrunk.items()} | manifest.absent
    return found


def find_damaged(
    dest: Location, manifest: Manifest | None, replaced: Collection[str] = ()
) -> set[str]:
    """Files of a data set that are missing or of the wrong size, by the listings of their folders.

    Files that an interrupted run may have `replaced` may differ in size. Contents are never read.
    """
    if manifest is None or not dest.lists:
        return set()
    sizes: dict[str, int | None] = {}
    for folder in {name.rpartition("/")[0] for name in manifest.files}:
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in dest.entries(folder):
                sizes[f"{folder}/{entry.name}" if folder else entry.name] = entry.size
    return {
        name
        for name, entry in manifest.files.items()
        if name not in sizes or (sizes[name] != entry.bytes and name not in replaced)
    }
