"""What of an earlier run still stands, and what must be read again.

Calendar work on names and fingerprints; reads the earlier manifest and day table, no day file.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from daskbinder.archive.dayfiles import DayFile
from daskbinder.dataset.files import is_whole, read_table
from daskbinder.dataset.layout import DAYS, EARLIER_DAYS
from daskbinder.errors import InputError
from daskbinder.model.dates import beside
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class Earlier:
    """A finished data set that a run may build on.

    Attributes
    ----------
    files : dict
        The manifest's entries of its files that are there, by name.
    days : pyarrow.Table
        Its day table.
    strays : frozenset of datetime.date
        Dates of the files that hold launches of another date.
    unknown : tuple of str
        Origins the federation table did not know.
    """

    files: Mapping[str, Mapping[str, Any]] = field(repr=False)
    days: pa.Table = field(repr=False)
    strays: frozenset[date]
    unknown: tuple[str, ...]

    @property
    def launches(self) -> dict[date, int]:
        """Launches of each day file."""
        return _launches_in(self.days)


@dataclass(frozen=True)
class Scope:
    """What a run reads and recounts.

    Attributes
    ----------
    files : tuple of DayFile
        The day files that are read.
    dates : frozenset of datetime.date, or None
        The dates that are counted anew; None for all.
    """

    files: tuple[DayFile, ...]
    dates: frozenset[date] | None

    def counts_anew(self, day: date) -> bool:
        """Whether a date is counted anew."""
        return self.dates is None or day in self.dates


def find_earlier(
    dest: Location,
    manifest: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    suspects: Collection[str] | None,
    damaged: Collection[str] = (),
) -> Earlier | None:
    """Find what an earlier run left that a run with these options can build on.

    Parameters
    ----------
    dest : Location
        Where it would be.
    manifest : mapping or None
        Its manifest, None where there is none.
    options : mapping
        As the manifest would state them.
    suspects : collection of str or None
        Names of files that an interrupted run may have replaced; None if that is not known.
    damaged : collection of str
        Names of files that are as good as gone.

    Returns
    -------
    Earlier or None
        None where there is nothing, or not all of it can be trusted.
    """
    if manifest is None or manifest["options"] != options or DAYS not in manifest["files"]:
        return None
    files = {name: entry for name, entry in manifest["files"].items() if name not in damaged}
    names = files if suspects is None else [name for name in suspects if name in files]
    if not all(is_whole(dest, name, files[name]) for name in names if name != DAYS):
        return None
    days = _day_table(dest, files[DAYS])
    if days is None:
        return None
    return Earlier(
        files,
        days,
        frozenset(date.fromisoformat(day) for day in manifest["strays"]),
        tuple(manifest["unknown_origins"]),
    )


def _day_table(dest: Location, entry: Mapping[str, Any]) -> pa.Table | None:
    """Read the day table of an entry of the manifest; None if it is not there, or is none."""
    for name in (DAYS, EARLIER_DAYS):
        if is_whole(dest, name, entry):
            with suppress(InputError):
                return read_table(dest, name)
    return None


def launches_before(
    dest: Location, manifest: Mapping[str, Any], earlier: Earlier | None, *, full: bool
) -> dict[date, int]:
    """Launches that each day had when it was counted, as far as a data set tells.

    Of a day that shrank and is still small, those it once had; of one that is not there any more,
    those it had last. A full run compares with what was counted last alone: so a day that is
    rightly small is named once.
    """
    found: dict[date, int] = {}
    if earlier is not None:
        found = earlier.launches
    elif DAYS in manifest["files"]:
        days = _day_table(dest, manifest["files"][DAYS])
        found = {} if days is None else _launches_in(days)
    if not full:
        once = {day: n["before"] for day, n in manifest.get("shrunk", {}).items()}
        once |= manifest.get("absent", {})
        found |= {date.fromisoformat(day): n for day, n in once.items()}
    return found


def _launches_in(days: pa.Table) -> dict[date, int]:
    return dict(zip(days["date"].to_pylist(), days["accepted"].to_pylist(), strict=True))


def find_damaged(
    dest: Location, manifest: Mapping[str, Any] | None, but: Collection[str] = ()
) -> set[str]:
    """Files of a data set that are gone, or have another size, as listings of their folders tell.

    Those named in `but` may have another size; of no file more is looked at.
    """
    if manifest is None or not dest.lists:
        return set()
    sizes = {name: entry["bytes"] for name, entry in manifest["files"].items()}
    there: dict[str, int | None] = {}
    for folder in {name.rpartition("/")[0] for name in sizes}:
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in dest.entries(folder):
                there[f"{folder}/{entry.name}" if folder else entry.name] = entry.size
    return {
        name
        for name, size in sizes.items()
        if name not in there or (there[name] != size and name not in but)
    }


def scope_of(
    earlier: Earlier | None, files: Sequence[DayFile], more: Collection[date] = ()
) -> Scope:
    """Decide what must be read.

    Parameters
    ----------
    earlier : Earlier or None
        What a run can build on.
    files : sequence of DayFile
        The day files as they are listed now.
    more : collection of datetime.date
        Dates to count anew whatever is known of them.

    Returns
    -------
    Scope
        The files that changed; the dates those are about; and every file that may hold launches of
        these dates.
    """
    if earlier is None:
        return Scope(tuple(files), None)
    before = {
        row["date"]: (row["name"], row["bytes"], row["fingerprint"])
        for row in earlier.days.select(["date", "name", "bytes", "fingerprint"]).to_pylist()
    }
    now = {file.date: file for file in files}
    changed = {
        day
        for day in before.keys() | now.keys()
        if day not in now
        or before.get(day) != (now[day].name, now[day].size, now[day].fingerprint_text)
    }
    read, dates = set(changed), {*changed, *more}
    while True:
        for day in read & earlier.strays:
            dates |= beside(day)
        wanted = read | dates | {day for day in earlier.strays if beside(day) & dates}
        if wanted == read:
            break
        read = wanted
    return Scope(tuple(file for file in files if file.date in read), frozenset(dates | read))
