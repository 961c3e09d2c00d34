"""A mirror of an archive in a folder: fetches and verifies only what is new or changed.

A day file is fetched if it holds a launch or is empty. Anything else that a site may send, such as
a maintenance page, is refused, and removed if the folder has it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from daskbinder.archive.archive import Archive
from daskbinder.archive.dayfiles import INDEX, DayFile, entries_of_index
from daskbinder.archive.losses import look_for_launch
from daskbinder.errors import InputError, LostFiles
from daskbinder.storage.backend import Entry
from daskbinder.storage.checksums import has_checksum, mismatch
from daskbinder.storage.location import Location

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called after each day, with its size in bytes and how many of them were fetched."""

_SAME_TIME = 1e-3  # seconds; not all file systems keep microseconds


@dataclass(frozen=True)
class Mirror:
    """The result of a `sync`.

    Attributes
    ----------
    fetched : tuple of str
        Day files that were fetched.
    bytes : int
        Bytes in them.
    unchanged : int
        Day files that were already there.
    gone : tuple of str
        Day files of the folder that the archive does not have.
    shrunk : tuple of str
        Day files that are smaller in the archive than in the folder.
    deleted : bool
        Whether those were removed and replaced, or kept.
    lost : dict of str to str
        Files of the archive that were refused, and why: days without a launch, days that may not be
        read, an index that names no day.
    removed : tuple of str
        Day files of the folder that had no launch, and that the archive does not have.
    renamed : tuple of str
        Day files of the folder that were replaced by the archive's file of the same day, which has
        another name.
    """

    fetched: tuple[str, ...]
    bytes: int
    unchanged: int
    gone: tuple[str, ...]
    shrunk: tuple[str, ...]
    deleted: bool
    lost: dict[str, str]
    removed: tuple[str, ...]
    renamed: tuple[str, ...]


def sync(
    archive: Archive,
    folder: str | os.PathLike[str],
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    delete: bool = False,
    progress: Progress | None = None,
) -> Mirror:
    """Bring a folder up to date with an archive.

    A file is unchanged if it has the listed size and time, or else the listed checksum. Each file
    appears whole or not at all, so a stopped `sync` resumes where it was. A file that has
    lines but no launch is refused, and so is an empty one in place of one that has a launch.

    Parameters
    ----------
    archive : Archive
        Where the files come from.
    folder : str or Path
        Where they go; created if it does not exist.
    start, end : datetime.date or str, optional
        First and last file date, both included.
    delete : bool
        Remove days that the archive does not have, and replace those that shrank.
    progress : callable, optional
        Called for each day that is done.

    Returns
    -------
    Mirror

    Raises
    ------
    InputError
        When the archive has no day in the range, or `folder` is not on this machine.
    JobError
        When a file cannot be fetched as it was listed; those fetched so far stay.

    Examples
    --------
    >>> import daskbinder as db
    >>> db.sync(db.Archive("archive"), "copy").unchanged
    0
    >>> db.sync(db.Archive("archive"), "copy").unchanged
    8
    """
    location = Location.at(folder)
    if not location.is_local:
        raise InputError(f"{location} is not a folder of this machine; give one to sync into")
    files = archive.select(start, end)
    if not files:
        raise InputError(f"{archive.location} has no day file in the range asked for")
    Path(location.path()).mkdir(parents=True, exist_ok=True)
    copy = _Copy.of(archive, location)
    lost = {file.name: str(archive.location.refusal(file.name)) for file in files if file.refused}
    files = tuple(file for file in files if not file.refused)
    shrunk = [file.name for file in files if copy.has_more(file)]
    wanted = [file for file in files if delete or file.name not in shrunk]
    fetched, refused = _fetch_all(archive.location, copy, wanted, progress or (lambda *_: None))
    lost |= refused | _fetch_index(archive, location)
    renamed = copy.replaced_by(fetched)
    for name in (*copy.bad, *renamed, *(copy.gone if delete else ())):
        location.remove(name)
    return Mirror(
        fetched=tuple(sorted(file.name for file in fetched)),
        bytes=sum(file.size for file in fetched),
        unchanged=len(wanted) - len(fetched) - len(refused),
        gone=copy.gone,
        shrunk=tuple(name for name in shrunk if name not in lost),
        deleted=delete,
        lost=dict(sorted(lost.items())),
        removed=copy.bad,
        renamed=renamed,
    )


@dataclass(frozen=True)
class _Copy:
    """A folder as it was before a sync, compared with an archive."""

    location: Location
    entries: dict[str, Entry]  # day files of the folder by name
    names: dict[date, str]  # names of the archive's day files
    bad: tuple[str, ...] = ()  # files with lines but no launch that the archive does not have
    moved: dict[date, str] = field(default_factory=dict)  # names of others whose day it has
    gone: tuple[str, ...] = ()  # names of others

    @classmethod
    def of(cls, archive: Archive, location: Location) -> "_Copy":
        """List the folder and read those of its day files that the archive does not have."""
        entries: dict[str, Entry] = {}
        others: dict[str, date] = {}
        names = {file.date: file.name for file in archive.files}
        for entry in sorted(location.entries(), key=lambda entry: entry.name):
            day = archive.instance.date_of(entry.name)
            if day is not None:
                entries[entry.name] = entry
                if names.get(day) != entry.name:
                    others[entry.name] = day
        copy = cls(location, entries, names)
        bad = [name for name, day in others.items() if copy.look(day, name)[1] is not None]
        good = {name: day for name, day in others.items() if name not in bad}
        moved = {day: name for name, day in good.items() if day in names}
        gone = tuple(name for name, day in good.items() if day not in names)
        return replace(copy, bad=tuple(bad), moved=moved, gone=gone)

    def look(self, day: date, name: str) -> tuple[bool, str | None]:
        """Tell whether a file, if there is one, holds a launch, and why it is lost if it is."""
        entry = self.entries.get(name)
        if entry is None:
            return False, None
        file = DayFile(**vars(entry) | {"size": entry.size or 0}, date=day)
        try:
            return look_for_launch(file, self.location.read(name))
        except LostFiles as error:
            return False, str(error)

    def has_more(self, file: DayFile) -> bool:
        """Whether the folder's file of a day is larger, and not lost."""
        entry = self.entries.get(file.name)
        larger = entry is not None and (entry.size or 0) > file.size
        return larger and self.look(file.date, file.name)[1] is None

    def would_lose(self, file: DayFile) -> bool:
        """Whether another file of a day would replace one that has a launch."""
        return self.look(file.date, self.moved.get(file.date, file.name))[0]

    def replaced_by(self, fetched: Sequence[DayFile]) -> tuple[str, ...]:
        """Files whose day has a launch, or was fetched, under the name that the archive has."""
        days = {file.date for file in fetched}
        return tuple(
            name
            for day, name in self.moved.items()
            if day in days or self.look(day, self.names[day])[0]
        )


def _fetch_all(
    source: Location, copy: _Copy, files: Sequence[DayFile], progress: Progress
) -> tuple[list[DayFile], dict[str, str]]:
    """Fetch the files that are new or changed and return them, and why others were refused."""
    fetched = []
    refused: dict[str, str] = {}
    pool = ThreadPoolExecutor(source.concurrency, "daskbinder-sync")
    try:
        # newest first: they are the most likely to be rewritten during a sync
        pending = {pool.submit(_fetch, source, copy, file): file for file in reversed(files)}
        for future in as_completed(pending):
            file = pending[future]
            try:
                is_new = future.result()
            except LostFiles as error:
                refused |= error.files
                is_new = False
            if is_new:
                fetched.append(file)
            progress(file.size, file.size if is_new else 0)
    finally:
        pool.shutdown(cancel_futures=True)
    return fetched, refused


def _fetch(source: Location, copy: _Copy, file: DayFile) -> bool:
    """Fetch a file unless it is unchanged; return whether it was fetched.

    Raises
    ------
    LostFiles
        When the file has lines but no launch, or is empty and would replace one that has a launch.
    """
    known = copy.entries.get(file.name)
    if known is not None and known.size == file.size:
        if _same_time(known, file):
            return False
        if has_checksum(file) and mismatch(file, copy.location.read(file.name)) is None:
            _set_time(copy.location, file)
            return False
    data = source.fetch(file)
    has_launch, why = look_for_launch(file, data)
    if not has_launch and why is None and copy.would_lose(file):
        why = f"{file.name} ({file.size:,} bytes) is empty, and its day in {copy.location} is not"
    if why:
        raise LostFiles({file.name: why})
    copy.location.write(file.name, data)
    log.info("fetched %s, %d bytes", file.name, file.size)
    _set_time(copy.location, file)
    return True


def _same_time(one: Entry, other: Entry) -> bool:
    if one.modified is None or other.modified is None:
        return False
    return abs(one.modified - other.modified) < _SAME_TIME


def _set_time(location: Location, entry: Entry) -> None:
    if entry.modified is not None:
        times = entry.modified, entry.modified
        os.utime(location.path(entry.name), times, follow_symlinks=False)


def _fetch_index(archive: Archive, location: Location) -> dict[str, str]:
    """Fetch the archive's index, unless it names no day; return why it was refused."""
    try:
        data = archive.location.read(INDEX)
    except FileNotFoundError:
        return {}
    if data and next(entries_of_index(data, archive.instance), None) is None:
        return {INDEX: f"{INDEX} ({len(data):,} bytes) names no day"}
    location.write(INDEX, data)
    return {}
