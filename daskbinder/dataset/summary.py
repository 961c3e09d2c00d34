"""An archive or a finished data set at a glance; reads no day file and no rollup."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from daskbinder.archive.archive import Archive
from daskbinder.dataset.layout import DAYS, MANIFEST
from daskbinder.dataset.manifest import read_manifest
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model.dates import DateSet
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.storage.location import Location

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Overview:
    """An archive at a glance.

    Attributes
    ----------
    source : str
        Where it is.
    days : int
        Number of day files.
    first, last : datetime.date or None
        Dates of the first and the last day file.
    bytes : int
        Total size of the day files.
    gaps : tuple of (datetime.date, datetime.date)
        First and last day of each run of missing days.
    provisional : tuple of datetime.date
        Days that may still change: today and yesterday.
    empty : tuple of datetime.date
        Days whose file has no bytes.
    refused : tuple of datetime.date
        Days whose file we are not permitted to read.
    unindexed : tuple of datetime.date
        Days that are missing from the archive's own index.
    indexed_only : tuple of datetime.date
        Days in the index that have no day file.

    Examples
    --------
    >>> import daskbinder as db
    >>> found = Overview.of(db.Archive("archive"))
    >>> found.days, found.missing
    (8, 1)
    """

    source: str
    days: int
    first: date | None
    last: date | None
    bytes: int
    gaps: tuple[tuple[date, date], ...]
    provisional: tuple[date, ...]
    empty: tuple[date, ...]
    refused: tuple[date, ...]
    unindexed: tuple[date, ...]
    indexed_only: tuple[date, ...]

    @classmethod
    def of(cls, archive: Archive, *, today: date | None = None) -> "Overview":
        """Summarise an archive from its listing and index.

        Parameters
        ----------
        archive : Archive
            The archive.
        today : datetime.date, optional
            By default the current UTC date.

        Returns
        -------
        Overview
        """
        today = today or datetime.now(UTC).date()
        dates = [file.date for file in archive.files]
        return cls(
            source=archive.location.address,
            days=len(dates),
            first=dates[0] if dates else None,
            last=dates[-1] if dates else None,
            bytes=sum(file.size for file in archive.files),
            gaps=DateSet.of(dates).gaps.spans,
            provisional=tuple(day for day in dates if day >= today - _DAY),
            empty=tuple(file.date for file in archive.files if not (file.size or file.refused)),
            refused=tuple(file.date for file in archive.files if file.refused),
            unindexed=tuple(day for day in dates if day not in archive.index),
            indexed_only=tuple(sorted(archive.index.keys() - set(dates))),
        )

    @property
    def missing(self) -> int:
        """Days missing between the first and the last."""
        return _length(self.gaps)


@dataclass(frozen=True)
class Holdings:
    """A finished data set at a glance.

    Attributes
    ----------
    dest : str
        Where it is.
    instance : str
        Name of the BinderHub whose launches these are.
    source : str
        The archive they were counted from.
    version : str
        Version of the package that wrote it.
    days : int
        Number of day files counted.
    first, last : datetime.date or None
        Dates of the first and the last day file.
    gaps : tuple of (datetime.date, datetime.date)
        First and last day of each run of missing days.
    provisional : tuple of datetime.date
        Days that could still change when they were counted.
    launches : int
        Launches counted.
    rejected : int
        Rejected lines.
    reasons : dict of str to int
        Rejected lines by reason.
    index_mismatches : int
        Days whose count differs from the archive's own index.
    windows : dict of str to dict of str to int
        Number of rollups, by kind and grain.
    incomplete : int
        Windows with missing days.
    lost : dict of str to str
        Day files that were left out because they could not be read, and why.
    unknown_hosts : tuple of str
        Hosts that are not in the federation table.
    bytes : int
        Total size of the data set's files.

    Examples
    --------
    >>> import daskbinder as db
    >>> found = Holdings.of(db.open("rollups"))
    >>> found.days, found.missing, found.windows["weekly"]
    (8, 1, {'hour': 2, 'day': 2})
    """

    dest: str
    instance: str
    source: str
    version: str
    days: int
    first: date | None
    last: date | None
    gaps: tuple[tuple[date, date], ...]
    provisional: tuple[date, ...]
    launches: int
    rejected: int
    reasons: dict[str, int]
    index_mismatches: int
    windows: dict[str, dict[str, int]]
    incomplete: int
    lost: dict[str, str]
    unknown_hosts: tuple[str, ...]
    bytes: int

    @classmethod
    def of(cls, rollups: Rollups) -> "Holdings":
        """Summarise a data set from its manifest and day table.

        Parameters
        ----------
        rollups : Rollups
            The data set, as returned by `daskbinder.open`.

        Returns
        -------
        Holdings

        Raises
        ------
        InputError
            When the day table is missing, or is not the file that the manifest names.
        """
        manifest = rollups.contents
        days = rollups.table(DAYS)
        dates: list[date] = days["date"].to_pylist()
        provisional = days["provisional"].to_pylist()
        return cls(
            dest=rollups.location.address,
            instance=rollups.instance,
            source=manifest.source,
            version=manifest.daskbinder,
            days=len(dates),
            first=min(dates, default=None),
            last=max(dates, default=None),
            gaps=DateSet.of(dates).gaps.spans,
            provisional=tuple(day for day, may in zip(dates, provisional, strict=True) if may),
            launches=manifest.totals.accepted,
            rejected=manifest.totals.rejected,
            reasons=manifest.totals.reasons,
            index_mismatches=manifest.totals.index_mismatches,
            windows=_windows(manifest.files),
            incomplete=len(manifest.incomplete),
            lost=manifest.lost,
            unknown_hosts=manifest.unknown_origins,
            bytes=sum(entry.bytes for entry in manifest.files.values())
            + (rollups.location.entry(MANIFEST).size or 0),
        )

    @property
    def missing(self) -> int:
        """Days missing between the first and the last."""
        return _length(self.gaps)


def look(
    url: str | os.PathLike[str] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    instance: Instance = MYBINDER,
) -> Overview | Holdings:
    """Summarise whatever is at a location: an archive or a finished data set.

    A location with day files is an archive, whatever else it holds. A web site has no listing and
    would have to be asked for each day, so there the manifest is tried first.

    Parameters
    ----------
    url : str or Path, optional
        A local folder or any fsspec URL; by default the instance's archive.
    storage_options : mapping, optional
        fsspec options for the file system.
    instance : Instance
        The BinderHub that the archive belongs to, if it is one.

    Returns
    -------
    Overview or Holdings

    Raises
    ------
    InputError
        When there is nothing at `url`.
    """
    location = Location.at(instance.archive if url is None else url, storage_options, public=True)

    def archive() -> Archive:
        return Archive(url, storage_options=storage_options, instance=instance)

    listed = archive() if url is None or location.lists else None
    if url is not None and not (listed and listed.files):
        manifest = None
        try:
            manifest = read_manifest(location)
        except InputError:
            if location.lists:
                raise  # a site may well have a manifest of its own
        if manifest is not None:
            return Holdings.of(Rollups(location, manifest))
    return Overview.of(listed or archive())


def _windows(names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Count the rollups among the files of a data set, by kind and grain."""
    split = (("", "", "", *name.split("/"))[-3:-1] for name in names)
    found = Counter((kind, folder.removeprefix("by-")) for kind, folder in split)
    counts = {
        kind: {grain: found[kind, grain] for grain in GRAINS if found[kind, grain]}
        for kind in KINDS
    }
    return {kind: grains for kind, grains in counts.items() if grains}


def _length(spans: Iterable[tuple[date, date]]) -> int:
    return sum((last - first).days + 1 for first, last in spans)
