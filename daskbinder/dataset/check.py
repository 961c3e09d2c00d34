"""Whether a data set is what its manifest says it is, and still what the archive says.

A fault is of the data set and can be mended; a note is of the archive. Reads and never writes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zlib import crc32

from daskbinder.archive.archive import Archive
from daskbinder.dataset import journal, remarks
from daskbinder.dataset.files import parse_table
from daskbinder.dataset.layout import (
    ACTIVE,
    DAYS,
    DIRECTORY,
    EARLIER_DAYS,
    JOURNAL,
    LOCK,
    MANIFEST,
    PENDING,
    RECEIPTS,
    REJECTS,
    REPOSITORIES,
    federation_name,
)
from daskbinder.dataset.manifest import FileEntry, Manifest
from daskbinder.dataset.rollups import Rollups, open_at
from daskbinder.errors import InputError
from daskbinder.model.dates import DateSet
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.storage.location import Location
from daskbinder.text import listing, plural


@dataclass(frozen=True)
class Audit:
    """What a check found.

    Attributes
    ----------
    dest : str
        Where the data set lies.
    source : str or None
        The archive it was compared with.
    files : int
        Files that the manifest names.
    days : int
        Day files in the day table.
    launches : int
        Launches in it.
    faults : tuple of str
        What is wrong with the data set, a sentence each. Unless it says otherwise, a full run mends
        it.
    notes : tuple of str
        What the archive lacked when it was counted, a sentence each.
    """

    dest: str
    source: str | None
    files: int
    days: int
    launches: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


def check(
    dest: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    start: date | None = None,
    end: date | None = None,
    storage_options: Mapping[str, Any] | None = None,
    today: date | None = None,
    instance: Instance = MYBINDER,
) -> Audit:
    """Check what a run left: every file, every sum, and with a source every day.

    Parameters
    ----------
    dest : str or Path
        The folder or URL given to the run.
    source : str or Path, optional
        An archive whose listing is compared with the day table.
    start, end : datetime.date, optional
        First and last file date to compare, as they were given to the run.
    storage_options : mapping, optional
        Arguments of both file systems, as fsspec takes them.
    today : datetime.date, optional
        The UTC date by default.
    instance : Instance
        Whose archive it is.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        When no run has ever written there, or there is no archive at `source`.

    Examples
    --------
    >>> import daskbinder as db
    >>> db.check("rollups", "archive").faults
    ()
    """
    location = Location.at(dest, storage_options)
    today = today or datetime.now(UTC).date()
    archive = None
    if source is not None:
        archive = Archive(source, storage_options=storage_options, today=today, instance=instance)
        archive.select(start, end)
    faults = list(_interrupted(location))
    notes: list[str] = []
    rows: list[dict[str, Any]] = []
    try:
        rollups = open_at(location)
        files = len(rollups.contents.files)
    except InputError as error:
        if not faults and not location.stamp(MANIFEST):
            raise
        faults.append(str(error))
        files = 0
    else:
        faults += _not_named(rollups.contents)
        rows = _check_data(rollups, faults, notes)
        faults += _lost(rollups.contents)
        notes += remarks.gaps(rows, today)
        notes += remarks.shrunk(rollups.contents.shrunk)
        notes += remarks.secrets(rollups.contents.secret_launches)
        if archive is not None:
            faults += _differences(archive, rollups.contents.source, rows, start, end)
    return Audit(
        dest=location.address,
        source=None if archive is None else archive.location.address,
        files=files,
        days=len(rows),
        launches=sum(row["accepted"] for row in rows),
        faults=tuple(faults),
        notes=tuple(notes),
    )


def _interrupted(location: Location) -> Iterator[str]:
    """Name what a run leaves only while it is under way, and what lies there beside it."""
    try:
        left = journal.read_pending(location) is not None
    except InputError as error:
        yield str(error)
        return
    foreign: list[str] = []
    if location.lists:
        left = left or bool(journal.finished(location))
        with suppress(FileNotFoundError, NotADirectoryError):
            names = {f"{JOURNAL}/{entry.name}" for entry in location.listing(JOURNAL)}
            foreign = sorted(names - {PENDING, RECEIPTS, LOCK, EARLIER_DAYS})
            left = left or len(names) > len(foreign) or (location.is_local and not names)
    if left:
        yield f"{location}/{JOURNAL} is of a run that was interrupted or goes on; run again"
    if foreign:
        files, which = plural(len(foreign), "file"), listing(foreign, longest=200)
        yield f"{location}: {files} of no run, to be removed: {which}"


def _not_named(manifest: Manifest) -> Iterator[str]:
    """Files that every data set has and the manifest does not name."""
    needed = {DAYS, REJECTS}
    if not manifest.options.compat:
        needed |= {federation_name(grain) for grain in manifest.options.grains}
        needed |= {DIRECTORY, ACTIVE}
    for name in sorted(needed - manifest.files.keys()):
        yield f"{MANIFEST} does not name {name}"


def _lost(manifest: Manifest) -> Iterator[str]:
    """Day files that a run could not read and left out."""
    for name, why in sorted(manifest.lost.items()):
        yield f"{name} was left out: {why}; run again"


def _check_data(rollups: Rollups, faults: list[str], notes: list[str]) -> list[dict[str, Any]]:
    """Check the files and their sums; return the rows of the day table."""
    manifest = rollups.contents
    launches: dict[str, int | None] = {}
    with ThreadPoolExecutor() as pool:
        checked = pool.map(
            lambda file: _check_file(rollups.location, *file), manifest.files.items()
        )
        for name, (fault, n) in zip(manifest.files, checked, strict=True):
            if fault:
                faults.append(fault)
            else:
                launches[name] = n
    faults += _unlisted_tables(rollups)
    hours = federation_name("hour")
    if hours in launches:
        notes += remarks.silences(rollups.table(hours))
    if DAYS not in launches:
        return []
    rows: list[dict[str, Any]] = rollups.table(DAYS).to_pylist()
    faults += _check_days(manifest, rows)
    faults += _check_sums(manifest, rows, launches)
    return rows


def _check_file(location: Location, name: str, entry: FileEntry) -> tuple[str | None, int | None]:
    """Compare a file with its entry; return what is wrong, or the launches in it."""
    try:
        data = location.read(name)
    except (FileNotFoundError, NotADirectoryError):
        return f"{name} is missing", None
    if len(data) != entry.bytes:
        return f"{name} has {len(data):,} bytes in place of {entry.bytes}", None
    if crc32(data) != entry.crc32:
        return f"{name} is damaged: its CRC-32 is not the one in {MANIFEST}", None
    columns = None if entry.n is None else ["n"]
    try:
        table = parse_table(name, data, columns)
    except InputError as error:
        return str(error), None
    n = None if columns is None else int(table["n"].to_numpy().sum())
    for what, found, stated in (("rows", len(table), entry.rows), ("n", n, entry.n)):
        if found != stated:
            return f"{name} has {what} {found} in place of {stated}", None
    return None, n


def _unlisted_tables(rollups: Rollups) -> Iterator[str]:
    """Tables that the manifest does not name: glob readers would double-count them."""
    if not rollups.location.lists:
        return
    names = rollups.contents.files
    found = []
    for folder in sorted({name.rpartition("/")[0] for name in names if "/" in name}):
        try:
            entries = rollups.location.entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        beside = (f"{folder}/{entry.name}" for entry in entries)
        found += [
            name
            for name in sorted(beside)
            if name.endswith((".parquet", ".feather")) and name not in names
        ]
    if found:
        files = plural(len(found), "file")
        yield f"{files} not of the data set, to be removed: {listing(found, longest=200)}"


def _check_days(manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Check the day table in itself and against the totals of the manifest."""
    uneven = [row["date"] for row in rows if row["accepted"] + row["rejected"] != row["lines"]]
    if uneven:
        yield f"accepted and rejected are not all lines on {remarks.counted_days(uneven)}"
    totals = manifest.totals
    found = {
        "files": len(rows),
        **{
            name: sum(row[name] for row in rows)
            for name in ("bytes", "lines", "accepted", "rejected")
        },
        "index_mismatches": len(remarks.mismatches(rows)),
    }
    for name, n in found.items():
        if (stated := getattr(totals, name)) != n:
            yield f"{MANIFEST} has {stated} as total of {name}, the day table {n}"
    rejected = sum(totals.reasons.values())
    if rejected != found["rejected"]:
        yield f"{MANIFEST} has reasons for {rejected} lines, the day table {found['rejected']}"
    dates = [row["date"] for row in rows]
    if len(set(dates)) < len(dates):
        yield "the day table has a date twice"
    bounds = manifest.start, manifest.end, manifest.missing
    if dates and bounds != (min(dates), max(dates), tuple(DateSet.of(dates).gaps)):
        yield f"{MANIFEST} states other days than the day table"


def _check_sums(
    manifest: Manifest,
    rows: Sequence[Mapping[str, Any]],
    launches: Mapping[str, int | None],
) -> Iterator[str]:
    """Check the sum of every output; those with a file at fault are left out.

    The rollups of the older notebook leave launches out, so they may hold fewer.
    """
    accepted, rejected = (sum(row[name] for row in rows) for name in ("accepted", "rejected"))
    compat, grains = manifest.options.compat, manifest.options.grains
    top = "" if compat else "rollups/"
    outputs = {
        f"the {kind} rollups by {grain}": [
            name for name in manifest.files if name.startswith(f"{top}{kind}/by-{grain}/")
        ]
        for kind in manifest.options.windows
        for grain in grains
    }
    if not compat:
        outputs |= {f"the series by {grain}": [federation_name(grain)] for grain in grains}
        outputs["the directory of repositories"] = [DIRECTORY]
        outputs["the repositories by day"] = [
            name for name in manifest.files if name.startswith(REPOSITORIES)
        ]
    for what, names in outputs.items():
        if launches.keys() >= set(names):
            n = sum(launches[name] or 0 for name in names)
            if n > accepted or (n < accepted and not compat):
                yield f"{what} hold {n:,} launches, the day table {accepted:,}"
    if REJECTS in launches and launches[REJECTS] != rejected:
        yield f"{REJECTS} holds {launches[REJECTS]:,} lines, the day table {rejected:,}"


def _differences(
    archive: Archive,
    counted_from: str,
    rows: Sequence[Mapping[str, Any]],
    start: date | None,
    end: date | None,
) -> Iterator[str]:
    """Compare a listing with the day table.

    Fingerprints say nothing from one place to another; there the size must do.
    """
    facts = ["name", "bytes"]
    if archive.location.address.rstrip("/") == counted_from.rstrip("/"):
        facts.append("fingerprint")
    first, last = start or date.min, end or date.max
    before = {
        row["date"]: [row[fact] for fact in facts] for row in rows if first <= row["date"] <= last
    }
    now = {
        file.date: [file.name, file.size, file.fingerprint][: len(facts)]
        for file in archive.select(start, end)
    }
    changed = [day for day in now.keys() & before.keys() if now[day] != before[day]]
    for days, what in (
        (now.keys() - before.keys(), "new"),
        (before.keys() - now.keys(), "gone"),
        (changed, "changed"),
    ):
        if days:
            yield f"{remarks.counted_days(days)} {what} in {archive.location}; run again"
