"""What is wrong with a data set, one sentence each. Reads only, never writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from typing import Any
from zlib import crc32

from daskbinder.archive.archive import Archive
from daskbinder.dataset import journal
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
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model.dates import DateSet
from daskbinder.storage.location import Location
from daskbinder.text import listing, plural


def interrupted(location: Location) -> Iterator[str]:
    """A leftover journal, and files in its folder that no run writes."""
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


def unnamed_files(manifest: Manifest) -> Iterator[str]:
    """Files that every data set has but the manifest does not name."""
    needed = {DAYS, REJECTS}
    if not manifest.options.compat:
        needed |= {federation_name(grain) for grain in manifest.options.grains}
        needed |= {DIRECTORY, ACTIVE}
    for name in sorted(needed - manifest.files.keys()):
        yield f"{MANIFEST} does not name {name}"


def left_out(manifest: Manifest) -> Iterator[str]:
    """Day files that a run could not read and left out."""
    for name, why in sorted(manifest.lost.items()):
        yield f"{name} was left out: {why}; run again"


def check_files(rollups: Rollups) -> tuple[list[str], dict[str, int | None]]:
    """Compare every file with its manifest entry; return faults, and launches per sound file."""
    entries = rollups.contents.files
    faults: list[str] = []
    launches: dict[str, int | None] = {}
    with ThreadPoolExecutor() as pool:
        checked = pool.map(lambda file: _check_file(rollups.location, *file), entries.items())
        for name, (fault, n) in zip(entries, checked, strict=True):
            if fault:
                faults.append(fault)
            else:
                launches[name] = n
    return faults, launches


def _check_file(location: Location, name: str, entry: FileEntry) -> tuple[str | None, int | None]:
    """Compare a file with its manifest entry; return its fault, if any, and its launches."""
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


def unlisted_tables(rollups: Rollups) -> Iterator[str]:
    """Tables that the manifest does not name; readers that glob would double-count them."""
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


def wrong_days(manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Contradictions within the day table, and between it and the manifest."""
    uneven = [row["date"] for row in rows if row["accepted"] + row["rejected"] != row["lines"]]
    if uneven:
        yield f"accepted and rejected are not all lines on {days_text(uneven)}"
    totals = manifest.totals
    found = {
        "files": len(rows),
        **{
            name: sum(row[name] for row in rows)
            for name in ("bytes", "lines", "accepted", "rejected")
        },
        "index_mismatches": len(mismatches(rows)),
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


def wrong_sums(
    manifest: Manifest,
    rows: Sequence[Mapping[str, Any]],
    launches: Mapping[str, int | None],
) -> Iterator[str]:
    """Outputs that do not sum to the accepted launches; outputs with a faulty file are skipped.

    Rollups of the older notebook leave out some launches, so they may hold fewer.
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


def differences(
    archive: Archive,
    counted_from: str,
    rows: Sequence[Mapping[str, Any]],
    start: date | None,
    end: date | None,
) -> Iterator[str]:
    """Days that are new, gone or changed in the archive since they were counted.

    Fingerprints are comparable only within one location; otherwise name and size must do.
    """
    facts = ["name", "bytes"]
    if archive.location.address.rstrip("/") == counted_from.rstrip("/"):
        facts.append("fingerprint")
    first, last = start or date.min, end or date.max
    before = {
        row["date"]: [row[fact] for fact in facts] for row in rows if first <= row["date"] <= last
    }
    now = {
        file.date: [file.name, file.size, file.fingerprint_text][: len(facts)]
        for file in archive.select(start, end)
    }
    changed = [day for day in now.keys() & before.keys() if now[day] != before[day]]
    for days, what in (
        (now.keys() - before.keys(), "new"),
        (before.keys() - now.keys(), "gone"),
        (changed, "changed"),
    ):
        if days:
            yield f"{days_text(days)} {what} in {archive.location}; run again"


def mismatches(rows: Iterable[Mapping[str, Any]]) -> list[date]:
    """Days whose line count differs from the archive's index."""
    return [row["date"] for row in rows if row["indexed"] not in (None, row["lines"])]


def days_text(days: Iterable[date]) -> str:
    """Say how many days there are, and list them if there are few."""
    dates = DateSet.of(days)
    return f"{plural(len(dates), 'day')} ({listing(dates.texts)})"
