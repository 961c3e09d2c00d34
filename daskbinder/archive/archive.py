"""The public interface to an archive: its day files, and its launches as a Dask DataFrame."""

import os
from collections.abc import Mapping
from datetime import UTC, date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from daskbinder.archive.dayfiles import DayFile, list_day_files, read_index
from daskbinder.errors import InputError
from daskbinder.model.dates import read_date
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.storage.location import Location

if TYPE_CHECKING:
    import dask.dataframe as dd


class Archive:
    """The day files of an archive, listed but not read.

    Parameters
    ----------
    url : str or Path, optional
        A local folder or any fsspec URL; by default the archive of the instance.
    storage_options : mapping, optional
        Arguments for fsspec's file system. A bucket is read without an account unless they name
        one (``token``).
    today : datetime.date, optional
        The last day to look for, the UTC date by default. Web sites have no listing, so each day
        up to this one is requested.
    instance : Instance
        The BinderHub whose archive it is; tells what its day files are called.

    Attributes
    ----------
    instance : Instance
        The BinderHub whose archive it is.
    location : Location
        Where the files are.
    files : tuple of DayFile
        The day files, by date; other files are ignored.

    Raises
    ------
    InputError
        When there is nothing at `url`, or one date has two files.

    Examples
    --------
    >>> import daskbinder as db
    >>> archive = db.Archive("archive")
    >>> len(archive.files), archive.files[0].name
    (8, 'events-2021-02-24.jsonl')
    >>> events = archive.events("2021-03-01", "2021-03-02")  # lazy
    >>> "spec" in events.columns
    True
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        today: date | None = None,
        instance: Instance = MYBINDER,
    ) -> None:
        self.instance = instance
        url = instance.archive if url is None else url
        self.location = Location.at(url, storage_options, public=True)
        try:
            self.location.address.encode()
        except UnicodeEncodeError as error:
            where = f"{self.location.address!a}"
            raise InputError(f"the name {where} is not UTF-8; rename the folder") from error
        self.files: tuple[DayFile, ...] = list_day_files(self.location, instance, today=today)

    def __repr__(self) -> str:
        if not self.files:
            return f"<Archive {self.location}: no day files>"
        first, last = self.files[0].date, self.files[-1].date
        return f"<Archive {self.location}: {len(self.files):,} day files, {first} to {last}>"

    @cached_property
    def index(self) -> dict[date, int]:
        """Launches of each date in the archive's own index, which is read on first use."""
        return read_index(self.location, self.instance)

    def select(
        self, start: date | str | None = None, end: date | str | None = None
    ) -> tuple[DayFile, ...]:
        """Day files from one date to another, both included."""
        first, last = read_date(start) or date.min, read_date(end) or date.max
        if first > last:
            raise InputError(f"the range ends ({last}) before it starts ({first})")
        return tuple(file for file in self.files if first <= file.date <= last)

    def events(
        self, start: date | str | None = None, end: date | str | None = None
    ) -> "dd.DataFrame":
        """Launches as a lazy Dask DataFrame.

        Parameters
        ----------
        start, end : datetime.date or str, optional
            First and last file date, both included.

        Returns
        -------
        dask.dataframe.DataFrame
            Indexed by ``timestamp`` (datetime64[us, UTC], sorted), with one partition per day file
            and known divisions. Columns are ``schema``, ``provider``, ``status``, ``origin``,
            ``request_origin`` (categorical), ``version`` (int64), ``spec``, ``ref`` (string) and
            ``build_token`` (boolean). Rejected lines are left out.

        Notes
        -----
        A launch is in the partition of its own UTC date, whichever file it was in; launches of a
        date that has no file are in the partition before it.
        """
        import dask
        import dask.dataframe as dd
        import pandas as pd
        from dask.dataframe.utils import clear_known_categories

        from daskbinder.archive import dataframe

        files = self.select(start, end)
        if not files:
            raise InputError(f"{self.location} has no day file in the range asked for")
        # a file may hold launches of the days before and after its own
        first, last = files[0].date - timedelta(days=1), files[-1].date + timedelta(days=2)
        starts = [first, *(file.date for file in files[1:]), last]
        divisions = [pd.Timestamp(day, tz=UTC).as_unit("us") for day in starts]
        read = [dask.delayed(dataframe.read_day, pure=True)(self.location, file) for file in files]
        parts = [
            dask.delayed(dataframe.between, pure=True)(
                read[max(i - 1, 0) : i + 2], *divisions[i : i + 2]
            )
            for i in range(len(files))
        ]
        meta = clear_known_categories(dataframe.META)
        return dd.from_delayed(parts, meta=meta, divisions=divisions, prefix="launches")
