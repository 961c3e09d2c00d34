"""The public functions: tables of `rank` and `select`, as pandas DataFrames."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from daskbinder.answers import rank, select
from daskbinder.answers.rank import Repository
from daskbinder.answers.select import Launches
from daskbinder.dataset.layout import ACTIVE, DAYS
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def top(
    rollups: Rollups,
    by: str = "repo",
    start: date | str | None = None,
    end: date | str | None = None,
    last: int | str | None = None,
    n: int | None = 25,
) -> "pd.DataFrame":
    """Rank by launches.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    by : str
        ``"repo"``, ``"org"``, ``"provider"``, ``"member"``, ``"origin"`` (the requested host)
        or ``"ref"`` (of a repository).
    start, end : datetime.date or str, optional
        The first and the last day; by default all.
    last : int or str, optional
        Number of days up to `end` or the newest day, such as ``"90d"``.
    n : int or None
        Number of rows; None for all.

    Returns
    -------
    pandas.DataFrame
        The names (``provider`` and ``repository`` for ``"repo"``, ``provider`` and ``org``,
        ``provider``, ``member``, ``origin``, or ``provider``, ``repository`` and ``ref``), ``n``,
        and ``share`` of all launches on these days.

    Examples
    --------
    >>> import daskbinder as db
    >>> from daskbinder import answers
    >>> ranked = answers.top(db.open("rollups"), by="provider", n=1)
    >>> ranked["provider"].tolist()
    ['GitHub']
    """
    return rank.top(rollups, by, select.read_span(rollups, start, end, last), n).to_pandas()


def repositories(rollups: Rollups) -> "pd.DataFrame":
    """List the repositories, the most launched first.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    pandas.DataFrame
        ``provider``, ``repository`` (as most often written), ``org`` (None for a spec that is not
        in the form of its provider), ``n``, ``days`` with launches, ``first_seen`` and
        ``last_seen``.
    """
    return select.directory(rollups).to_pandas()


def launches(rollups: Rollups) -> Launches:
    """Launches by day, member and repository, as compact arrays for quick selections.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    Launches
        ``repository`` holds row numbers of the result of `repositories`.
    """
    return select.launches(rollups)


def repository(
    rollups: Rollups, name_or_url: str, provider: str | None = None
) -> "Repository[pd.DataFrame]":
    """Find a repository by its name or URL.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    name_or_url : str
        ``owner/name``, a DOI, the URL of a repository, or that of a launch.
    provider : str, optional
        The provider to look at; by default, the one with the most launches of this name.

    Returns
    -------
    Repository
        Its ``series``, ``by_member`` and ``by_ref`` are DataFrames.

    Raises
    ------
    InputError
        When it was never launched.
    """
    known = rank.repository(rollups, name_or_url, provider)
    tables = ("series", "by_member", "by_ref")
    return replace(known, **{name: getattr(known, name).to_pandas() for name in tables})


def members(rollups: Rollups, by: str = "month") -> "pd.DataFrame":
    """Count launches of the federation members by month, quarter or year.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    by : str
        ``"month"``, ``"quarter"`` or ``"year"``.

    Returns
    -------
    pandas.DataFrame
        ``period`` (``2021-03``, ``2021Q1`` or ``2021``), ``member``, ``n``, ``share`` of the
        period's launches, and ``change`` from the same period a year before (0.5 for half as
        many again; NaN where the member had no launches then).
    """
    return rank.members(rollups, by).to_pandas()


def daily(rollups: Rollups) -> "pd.DataFrame":
    """Count launches by date, member and provider.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``member``, ``provider`` and ``n``, only where there are any.
    """
    return rank.by_provider(rollups).to_pandas()


def active(rollups: Rollups, by: str = "day") -> "pd.DataFrame":
    """Count the distinct repositories that were launched in each window, exactly.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    by : str
        ``"day"``, ``"week"``, ``"month"``, or ``"7d"``, ``"30d"``, ``"90d"`` up to each day.

    Returns
    -------
    pandas.DataFrame
        ``first`` and ``last`` day of the window, ``repositories``, and ``days``: how many of its
        days have a file.
    """
    from daskbinder.counting.directory import WINDOWS

    if by not in WINDOWS:
        raise InputError(f"repositories are counted by {', '.join(WINDOWS)}, not by {by!r}")
    rows = rollups.table(ACTIVE)
    return rows.filter(pc.equal(rows["window"], by)).drop_columns("window").to_pandas()


def new(rollups: Rollups) -> "pd.DataFrame":
    """Count the repositories seen for the first time, by month.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    pandas.DataFrame
        ``month`` (``2021-03``) and ``repositories``. In the first months of the archive, older
        repositories count as new too.
    """
    import pandas as pd

    seen = pc.strftime(select.directory(rollups)["first_seen"], "%Y-%m")
    months, counts = np.unique(seen.to_numpy().astype(str), return_counts=True)
    return pd.DataFrame({"month": months, "repositories": counts})


def scripts(rollups: Rollups) -> "pd.DataFrame":
    """Count launches by the site that asked for them, recorded since schema version 6.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    pandas.DataFrame
        ``request_origin`` (an address, or empty if none was sent: by a script, or when a link was
        followed), ``n``, and ``share`` of the launches of these versions.
    """
    return rank.scripts(rollups).to_pandas()


def completeness(rollups: Rollups) -> "pd.DataFrame":
    """Say how complete each date of the archive is.

    Parameters
    ----------
    rollups : Rollups
        The data set.

    Returns
    -------
    pandas.DataFrame
        ``date``, from the first to the last; ``present``, whether it has a day file; ``launches``
        and ``rejected`` lines in that file; ``indexed``, launches according to the archive's own
        index; ``hours`` of the day with launches; ``provisional``, whether the file was still
        being written.
    """
    import pandas as pd
    import pyarrow as pa

    table = rollups.table(DAYS)
    table = table.rename_columns({"accepted": "launches", "hours_present": "hours"})
    counts = ["launches", "rejected", "indexed", "hours"]
    # missing counts are NA from the start: not every pandas converts NaN to NA
    days = table.select(["date", "provisional"]).to_pandas()
    for name in counts:
        column = table[name].cast(pa.int64())
        days[name] = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    days["date"] = pd.to_datetime(days["date"])
    every = pd.date_range(days["date"].min(), days["date"].max(), name="date")
    frame = days.set_index("date")[[*counts, "provisional"]].reindex(every)
    frame.insert(0, "present", frame["launches"].notna())
    frame["provisional"] = frame["provisional"].eq(True)
    return frame.reset_index()
