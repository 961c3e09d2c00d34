"""What there is in an archive, told from its listing and its index; no day file is read."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from daskbinder.archive import Archive
from daskbinder.days import Days

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Overview:
    """An archive at a glance.

    Attributes
    ----------
    source : str
        Where it is.
    days : int
        Day files.
    first, last : datetime.date or None
        The first and the last of them.
    bytes : int
        Bytes in them.
    gaps : tuple of (datetime.date, datetime.date)
        First and last of the days that are missing in a row.
    provisional : tuple of datetime.date
        Days that may still change: today's and yesterday's.
    empty : tuple of datetime.date
        Days whose file has no bytes.
    unindexed : tuple of datetime.date
        Days that the archive's own index does not name.
    indexed_only : tuple of datetime.date
        Days that it names and that are not there.

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
    unindexed: tuple[date, ...]
    indexed_only: tuple[date, ...]

    @classmethod
    def of(cls, archive: Archive, *, today: date | None = None) -> "Overview":
        """Look at an archive, of which the index is read.

        Parameters
        ----------
        archive : Archive
            The archive.
        today : datetime.date, optional
            The UTC date by default.

        Returns
        -------
        Overview
        """
        today = today or datetime.now(UTC).date()
        dates = [file.date for file in archive.files]
        return cls(
            source=archive.place.url,
            days=len(dates),
            first=dates[0] if dates else None,
            last=dates[-1] if dates else None,
            bytes=sum(file.size for file in archive.files),
            gaps=Days.of(dates).gaps.spans,
            provisional=tuple(day for day in dates if day >= today - _DAY),
            empty=tuple(file.date for file in archive.files if not file.size),
            unindexed=tuple(day for day in dates if day not in archive.index),
            indexed_only=tuple(sorted(archive.index.keys() - set(dates))),
        )

    @property
    def missing(self) -> int:
        """Days missing between the first and the last."""
        return sum((last - first).days + 1 for first, last in self.gaps)
