"""A mirror of an archive in a folder: what is new comes, whole and verified, and nothing twice.

A day is taken if there is a launch in it, or nothing at all; what else a site may answer, such as a
page that tells of maintenance, never gets in, and goes if it is there.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
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
"""Told of each day that is done: its bytes, and how many of them had to be fetched."""

_SAME_TIME = 1e-3  # seconds; not all file systems keep microseconds


@dataclass(frozen=True)
class Mirror:
    """What a `sync` did.

    Attributes
    ----------
    fetched : tuple of str
        Day files that came anew.
    bytes : int
        Bytes in them.
    unchanged : int
        Day files that were already there.
    gone : tuple of str
        Day files of the folder that the archive does not have, or no longer.
    shrunk : tuple of str
        Day files that are smaller in the archive than in the folder.
    deleted : bool
        Whether those were removed and replaced, or kept.
    lost : dict of str to str
        Files that the archive gives and that were not taken, and why: days without a launch, days
        that it does not let us read, an index that names no day.
    removed : tuple of str
        Day files of the folder that had no launch, and that the archive does not have.
    renamed : tuple of str
        Day files of the folder in whose place those came that the archive now has of these days.
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

    A file is taken for unchanged if it has the size and the time of the one listed, or else its
    checksum where the place gives one. Each comes whole or not at all, so a `sync` that was
    stopped goes on where it was. One that is not empty and has no launch in it is not taken, nor
    one that is empty in place of one that has a launch.

    Parameters
    ----------
    archive : Archive
        Where the files come from.
    folder : str or Path
        Where they go; made if it is not there.
    start, end : datetime.date or str, optional
        First and last file date, both included.
    delete : bool
        Remove days that the archive does not have, and take those that shrank.
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
        When a file cannot be fetched as it was listed; the others stay.

    Examples
    --------
    >>> import daskbinder as db
    >>> db.sync(db.Archive("archive"), "copy").unchanged
    0
    >>> db.sync(db.Archive("archive"), "copy").unchanged
    8
    """
    here = Location.at(folder)
    if not here.is_local:
        raise InputError(f"{here} is not a folder of this machine; give one to sync into")
    files = archive.select(start, end)
    if not files:
        raise InputError(f"{archive.location} has no day file in the range asked for")
    Path(here.path()).mkdir(parents=True, exist_ok=True)
    there = _There.of(archive, here)
    lost = {file.name: str(archive.location.refusal(file.name)) for file in files if file.refused}
    files = tuple(file for file in files if not file.refused)
    shrunk = [file.name for file in files if there.is_larger(here, file)]
    wanted = [file for file in files if delete or file.name not in shrunk]
    fetched, without = _bring(archive.location, here, wanted, there, progress or (lambda *_: None))
    lost |= without | _bring_index(archive, here)
    renamed = there.replaced_by(here, fetched)
    for name in (*there.bad, *renamed, *(there.gone if delete else ())):
        here.remove(name)
    return Mirror(
        fetched=tuple(sorted(file.name for file in fetched)),
        bytes=sum(file.size for file in fetched),
        unchanged=len(wanted) - len(fetched) - len(without),
        gone=there.gone,
        shrunk=tuple(name for name in shrunk if name not in lost),
        deleted=delete,
        lost=dict(sorted(lost.items())),
        removed=there.bad,
        renamed=renamed,
    )


@dataclass(frozen=True)
class _There:
    """What a folder has, compared with what an archive has.

    Attributes
    ----------
    entries : dict of Entry
        Its day files by name.
    names : dict of str
        Names of the archive's day files by date.
    bad : tuple of str
        Files that the archive does not have and that hold no launch though they are not empty.
    moved : dict of str
        Other files by date that the archive has under another name.
    gone : tuple of str
        Files of days that the archive does not have.
    """

    entries: dict[str, Entry]
    names: dict[date, str]
    bad: tuple[str, ...]
    moved: dict[date, str]
    gone: tuple[str, ...]

    @classmethod
    def of(cls, archive: Archive, here: Location) -> "_There":
        """Look at a folder."""
        listed = here.entries()
        days = {entry.name: archive.instance.date_of(entry.name) for entry in listed}
        entries = {entry.name: entry for entry in listed if days[entry.name]}
        names = {file.date: file.name for file in archive.files}
        beyond = {name: days[name] for name in sorted(entries.keys() - set(names.values()))}
        bad = tuple(name for name, day in beyond.items() if _is_bad(here, day, entries[name]))
        good = {name: day for name, day in beyond.items() if name not in bad and day}
        moved = {day: name for name, day in good.items() if day in names}
        gone = tuple(name for name, day in good.items() if day not in names)
        return cls(entries, names, bad, moved, gone)

    def is_larger(self, here: Location, file: DayFile) -> bool:
        """Whether the folder has more of a day, and not of something else."""
        entry = self.entries.get(file.name)
        return (
            entry is not None
            and (entry.size or 0) > file.size
            and not _is_bad(here, file.date, entry)
        )

    def replaced_by(self, here: Location, fetched: list[DayFile]) -> tuple[str, ...]:
        """Files in whose place there is one of their day with a launch, which the archive has."""
        taken = {file.date for file in fetched}
        return tuple(
            name
            for day, name in self.moved.items()
            if day in taken or self._has_launch(here, day, self.names[day])
        )

    def has_good(self, here: Location, file: DayFile) -> bool:
        """Whether another file of a day would replace one with a launch."""
        return self._has_launch(here, file.date, self.moved.get(file.date, file.name))

    def _has_launch(self, here: Location, day: date, name: str) -> bool:
        entry = self.entries.get(name)
        return entry is not None and _look(here, day, entry)[0]


def _is_bad(here: Location, day: date | None, entry: Entry) -> bool:
    """Whether a day file of the folder is not empty and has no launch."""
    return day is not None and _look(here, day, entry)[1] is not None


def _look(here: Location, day: date, entry: Entry) -> tuple[bool, str | None]:
    """Tell whether a day file of the folder holds a launch, and why not if it has lines."""
    file = DayFile(**vars(entry) | {"size": entry.size or 0}, date=day)
    try:
        return look_for_launch(file, here.read(file.name))
    except LostFiles as error:
        return False, str(error)


def _bring(
    source: Location,
    here: Location,
    files: list[DayFile],
    there: _There,
    progress: Progress,
) -> tuple[list[DayFile], dict[str, str]]:
    """Fetch the files that are not there yet and return them, and why others were not taken."""
    fetched = []
    lost: dict[str, str] = {}
    pool = ThreadPoolExecutor(source.concurrency, "daskbinder-sync")
    try:
        # the newest first: they are the ones that may be rewritten while this runs
        coming = {
            pool.submit(_bring_one, source, here, file, there): file for file in reversed(files)
        }
        for done in as_completed(coming):
            file = coming[done]
            try:
                came = done.result()
            except LostFiles as error:
                lost |= error.files
                came = False
            if came:
                fetched.append(file)
            progress(file.size, file.size if came else 0)
    finally:
        pool.shutdown(cancel_futures=True)
    return fetched, lost


def _bring_one(source: Location, here: Location, file: DayFile, there: _There) -> bool:
    """Fetch a file unless it is there; return whether it was fetched.

    Raises
    ------
    LostFiles
        When it has no launch in it, and has lines or would replace one that has a launch.
    """
    known = there.entries.get(file.name)
    if known is not None and known.size == file.size:
        if _same_time(known, file):
            return False
        if has_checksum(file) and mismatch(file, here.read(file.name)) is None:
            _set_time(here, file)
            return False
    data = source.fetch(file)
    good, why = look_for_launch(file, data)
    if not good and why is None and there.has_good(here, file):
        why = f"{file.name} ({file.size:,} bytes) is empty, and its day in {here} is not"
    if why:
        raise LostFiles({file.name: why})
    here.write(file.name, data)
    log.info("fetched %s, %d bytes", file.name, file.size)
    _set_time(here, file)
    return True


def _same_time(there: Entry, entry: Entry) -> bool:
    if there.modified is None or entry.modified is None:
        return False
    return abs(there.modified - entry.modified) < _SAME_TIME


def _set_time(here: Location, entry: Entry) -> None:
    if entry.modified is not None:
        times = entry.modified, entry.modified
        os.utime(here.path(entry.name), times, follow_symlinks=False)


def _bring_index(archive: Archive, here: Location) -> dict[str, str]:
    """Bring the archive's index, unless it names no day; return why it was not taken."""
    try:
        data = archive.location.read(INDEX)
    except FileNotFoundError:
        return {}
    if data and not any(True for _ in entries_of_index(data, archive.instance)):
        return {INDEX: f"{INDEX} ({len(data):,} bytes) names no day"}
    here.write(INDEX, data)
    return {}
