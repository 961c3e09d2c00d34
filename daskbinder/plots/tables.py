"""The tables that figures draw: taken from a data set, or given by the caller."""

from collections.abc import Iterable
from typing import Literal, TypeAlias, TypeVar

import pandas as pd

from daskbinder import answers
from daskbinder.dataset.rollups import Rollups
from daskbinder.model.annotations import Annotation
from daskbinder.model.hub import MYBINDER

Given: TypeAlias = Rollups | pd.DataFrame
"""A data set, or the table itself."""
Table = TypeVar("Table", pd.DataFrame, pd.Series)
Notes: TypeAlias = Iterable[Annotation] | None


def by_member(given: Given, grain: Literal["hour", "day"] = "day") -> pd.DataFrame:
    """Launches by time, a column a member."""
    return given.federation(grain, wide=True) if isinstance(given, Rollups) else given


def by_provider(given: Given) -> pd.DataFrame:
    """Launches by day, a column a provider; 0 on a day with a file but none of a provider."""
    if not isinstance(given, Rollups):
        return given
    daily = answers.daily(given)
    table = daily.pivot_table(
        index="date", columns="provider", values="n", aggfunc="sum", fill_value=0, observed=True
    )
    return _on_days_with_a_file(given, table)


def of_repository(given: "Rollups | pd.Series[int]", name: str | None) -> "pd.Series[int]":
    """Launches of a repository by day, on each day with a file.

    Raises
    ------
    TypeError
        When a data set is given without the name of a repository.
    InputError
        When the repository was never launched.
    """
    if not isinstance(given, Rollups):
        return given
    if name is None:
        raise TypeError("name the repository: plots.repository(rollups, 'owner/name')")
    found = answers.repository(given, name)
    return _on_days_with_a_file(given, found.series.set_index("date")["n"].rename(found.name))


def top(given: Given, most: int) -> pd.DataFrame:
    """The most launched repositories."""
    return answers.top(given, by="repo", n=most) if isinstance(given, Rollups) else given


def days(given: Given) -> pd.DataFrame:
    """The days of the archive."""
    return answers.completeness(given) if isinstance(given, Rollups) else given


def notes_on(given: object, notes: Notes) -> Notes:
    """Notes to mark: by default the packaged ones, which are about mybinder.org alone."""
    if notes is None and isinstance(given, Rollups) and given.instance != MYBINDER.name:
        return ()
    return notes


def largest_first(counts: pd.DataFrame) -> pd.DataFrame:
    """Sort columns by their sums."""
    order = counts.sum().to_numpy("float64").argsort(kind="stable")[::-1]
    return counts.iloc[:, order]


def _on_days_with_a_file(rollups: Rollups, table: Table) -> Table:
    """Add the days without launches that have a file."""
    known = answers.completeness(rollups)
    present = pd.DatetimeIndex(known.loc[known["present"], "date"])
    table = table.set_axis(pd.DatetimeIndex(table.index), axis=0)
    return table.reindex(table.index.union(present)).fillna(0).astype("int64")
