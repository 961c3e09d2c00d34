"""Checks of a data set against its manifest and, optionally, against the archive.

A fault concerns the data set and can be repaired; a note concerns the archive.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from daskbinder.archive.archive import Archive
from daskbinder.dataset import faults, notes
from daskbinder.dataset.layout import DAYS, MANIFEST, federation_name
from daskbinder.dataset.rollups import Rollups, open_at
from daskbinder.errors import InputError
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class Audit:
    """What a check found.

    Attributes
    ----------
    dest : str
        Location of the data set.
    source : str or None
        The archive it was compared with.
    files : int
        Files that the manifest names.
    days : int
        Day files in the day table.
    launches : int
        Launches in the day table.
    faults : tuple of str
        What is wrong with the data set, one sentence each. Unless a fault says otherwise, a full
        run repairs it.
    notes : tuple of str
        What the archive lacked when it was counted, one sentence each.
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
        """Whether there are no faults."""
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
    """Check a data set: every file, every sum and, given a source, every day.

    Parameters
    ----------
    dest : str or Path
        The folder or URL given to the run.
    source : str or Path, optional
        An archive whose listing is compared with the day table.
    start, end : datetime.date, optional
        First and last file date to compare, as given to the run.
    storage_options : mapping, optional
        fsspec options for both file systems.
    today : datetime.date, optional
        By default the current UTC date.
    instance : Instance
        The BinderHub that the archive belongs to.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        When no run has ever written to `dest`, or there is no archive at `source`.

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
    found = list(faults.interrupted(location))
    told: list[str] = []
    rows: list[dict[str, Any]] = []
    files = 0
    try:
        rollups = open_at(location)
    except InputError as error:
        if not found and not location.stamp(MANIFEST):
            raise
        found.append(str(error))
    else:
        files = len(rollups.contents.files)
        of_data, told, rows = _check_data(rollups, today)
        found += of_data
        if archive is not None:
            found += faults.differences(archive, rollups.contents.source, rows, start, end)
    return Audit(
        dest=location.address,
        source=None if archive is None else archive.location.address,
        files=files,
        days=len(rows),
        launches=sum(row["accepted"] for row in rows),
        faults=tuple(found),
        notes=tuple(told),
    )


def _check_data(rollups: Rollups, today: date) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Check a data set on its own; return its faults, notes and the rows of its day table."""
    manifest = rollups.contents
    of_files, launches = faults.check_files(rollups)
    found = [*faults.unnamed_files(manifest), *of_files, *faults.unlisted_tables(rollups)]
    told: list[str] = []
    rows: list[dict[str, Any]] = []
    hours = federation_name("hour")
    if hours in launches:
        told += notes.silences(rollups.table(hours))
    if DAYS in launches:
        rows = rollups.table(DAYS).to_pylist()
        found += faults.wrong_days(manifest, rows)
        found += faults.wrong_sums(manifest, rows, launches)
    found += faults.left_out(manifest)
    told += notes.gaps(rows, today)
    told += notes.shrunk(manifest.shrunk)
    told += notes.secrets(manifest.secret_launches)
    return found, told, rows
