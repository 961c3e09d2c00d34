"""The directory of repositories, and how many were active in each window.

Tables in, tables out; no files, no Dask. Names that mean one repository share an entry, under the
name that was launched most.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import (
    Column,
    Ints,
    argsort,
    as_array,
    dates,
    decode,
    dense_rank,
    differs_from_previous,
    distinct_rows,
    encode,
    encode_sorted,
    pick_rows,
    sum_groups,
)
from daskbinder.counting.repositories import DAILY
from daskbinder.model import specs
from daskbinder.model.dates import day_number, day_of
from daskbinder.model.windows import windows_of

_TEXT = pa.dictionary(pa.int32(), pa.string())
_NAME = ["provider", "repository", "org"]

DIRECTORY = pa.schema(
    [
        pa.field("provider", _TEXT, nullable=False),
        pa.field("repository", pa.string(), nullable=False),
        pa.field("org", pa.string()),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("days", pa.int64(), nullable=False),
        pa.field("first_seen", pa.date32(), nullable=False),
        pa.field("last_seen", pa.date32(), nullable=False),
    ]
)
"""Columns of the directory: one row per repository, the most launched first."""

ACTIVE = pa.schema(
    [
        pa.field("window", _TEXT, nullable=False),
        pa.field("first", pa.date32(), nullable=False),
        pa.field("last", pa.date32(), nullable=False),
        pa.field("repositories", pa.int64(), nullable=False),
        pa.field("days", pa.int64(), nullable=False),
    ]
)
"""Columns of the counts of active repositories: one of `WINDOWS`, its first and last day, how many
repositories had a launch in it, and how many of its days have a file."""

CALENDAR = {"day": "daily", "week": "weekly", "month": "monthly"}
ROLLING = {"7d": 7, "30d": 30, "90d": 90}
WINDOWS = (*CALENDAR, *ROLLING)
"""Windows in which active repositories are counted; rolling ones end with each day."""


@dataclass(frozen=True)
class Visits:
    """Which repositories were launched on which days, and how often in total.

    Attributes
    ----------
    names : pyarrow.Table
        ``provider``, ``repository``, ``org`` and ``n``: each name as it was written, once.
    day : ndarray of int32
        Days from 1970-01-01, in order.
    name : ndarray of int32
        The rows of `names` that were launched on these days, each once a day.
    """

    names: pa.Table
    day: Ints
    name: Ints

    COLUMNS: ClassVar = ["date", *_NAME, "n"]
    """The columns of `DAILY` that `of` reads."""

    def __sizeof__(self) -> int:
        return int(self.names.nbytes) + self.day.nbytes + self.name.nbytes

    @classmethod
    def of(cls, rows: pa.Table) -> "Visits":
        """Read rows of `DAILY`."""
        names, name = _group_names(rows.select([*_NAME, "n"]))
        (day, name), _ = distinct_rows([rows["date"].cast(pa.int32()).to_numpy(), name])
        return cls(names, day.astype(np.int32), name.astype(np.int32))

    @classmethod
    def together(cls, parts: Sequence["Visits"]) -> "Visits":
        """Join visits of disjoint months."""
        if not parts:
            return cls.of(DAILY.empty_table())
        starts = np.cumsum([0, *(len(part.names) for part in parts)], dtype=np.int32)
        names = pa.concat_tables([part.names for part in parts])
        names, name = _group_names(names.unify_dictionaries().combine_chunks())
        shifted = [part.name + start for part, start in zip(parts, starts[:-1], strict=True)]
        name = name.astype(np.int32).take(np.concatenate(shifted))
        day = np.concatenate([part.day for part in parts])
        if (day[1:] < day[:-1]).any():
            order = np.argsort(day, kind="stable")
            name, day = name.take(order), day.take(order)
        return cls(names, day, name)


def _group_names(rows: pa.Table) -> tuple[pa.Table, Ints]:
    """Names that occur in rows, each once, with the sum of their launches; and each row's name."""
    (first, _), name = distinct_rows([encode(rows[column])[0] for column in _NAME[:2]])
    names = rows.select(_NAME).take(pa.array(pick_rows(name, len(first))))
    n = pa.array(sum_groups(name, rows["n"], len(first)))
    return names.append_column(DAILY.field("n"), n), name


@dataclass(frozen=True)
class Directory:
    """All repositories, and the days on which each was launched.

    Attributes
    ----------
    table : pyarrow.Table
        Rows of `DIRECTORY`.
    repository, day : ndarray of int32
        Rows of the table, sorted, and the days on which each was launched, in days from 1970-01-01
        and in order.
    """

    table: pa.Table
    repository: Ints
    day: Ints

    @classmethod
    def of(cls, visits: Visits) -> "Directory":
        """List the repositories that were visited.

        Of the names that mean one repository, the one with the most launches is kept; ties go to
        the first in alphabetical order.
        """
        provider, name, org = (as_array(visits.names[column]) for column in _NAME)
        n = visits.names["n"].to_numpy()
        text = name.cast(pa.string())
        key = specs.keys(provider.cast(pa.string()), text)
        (first, _), group = distinct_rows([encode(provider)[0], encode(key)[0]])
        alphabet = dense_rank(text)
        order = np.lexsort([alphabet, -n, group])
        chosen = order[differs_from_previous(group[order])]
        total = sum_groups(group, n, len(first))

        order = np.lexsort([alphabet[chosen], encode_sorted(provider)[0][chosen], -total])
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order))
        repository, day = _sort_days(rank[group].take(visits.name), visits.day)
        days = np.bincount(repository, minlength=len(order))
        stops = np.cumsum(days)
        chosen = pa.array(chosen[order])
        columns = [
            decode(*encode_sorted(provider.take(chosen))),
            text.take(chosen),
            org.take(chosen).cast(pa.string()),
            total[order],
            days,
            dates(day[stops - days]),
            dates(day[stops - 1]),
        ]
        return cls(pa.table(columns, schema=DIRECTORY), repository, day)


def _sort_days(repository: Ints, day: Ints) -> tuple[Ints, Ints]:
    """Sort days, already in order, by repository, and drop a repository's duplicates."""
    order, _ = argsort(repository)
    repository, day = repository.take(order), day.take(order)
    new = differs_from_previous(repository) | differs_from_previous(day)
    return (repository, day) if new.all() else (repository[new], day[new])


def identities(provider: Column, repository: pa.Array) -> pa.Array:
    """Text that is the same for names that mean one repository of a provider, and for no others."""
    providers = as_array(provider).dictionary_encode()
    names = providers.dictionary
    length = pc.cast(pc.binary_length(names), pa.string())
    head = pc.binary_join_element_wise(length, names, " ").take(providers.indices)
    key = specs.keys(provider, repository)
    mark = pc.if_else(pc.is_valid(key), "=", "")
    return as_array(pc.binary_join_element_wise(head, mark, key.fill_null(""), " "))


def count_active(directory: Directory, present: Iterable[int]) -> pa.Table:
    """Count the repositories that were active in each of `WINDOWS`, as rows of `ACTIVE`.

    `present` has the dates that have a day file, in days from 1970-01-01. There is a row for each
    calendar window that holds a date with a file or a launch, and for each rolling window that ends
    on such a date, sorted by window and day.
    """
    there = np.unique(np.fromiter(present, np.int64))
    low = int(directory.day.min(initial=0))
    days = np.union1d(there, np.flatnonzero(np.bincount(directory.day - low)) + low)
    if not len(days):
        return ACTIVE.empty_table()
    tables = []
    for name, first, last, n in (*_in_calendar(directory, days), *_in_rolling(directory, days)):
        with_file = np.searchsorted(there, last, "right") - np.searchsorted(there, first)
        window = pa.DictionaryArray.from_arrays(
            pa.array(np.full(len(n), WINDOWS.index(name)), pa.int32()), pa.array(WINDOWS)
        )
        tables.append(pa.table([window, dates(first), dates(last), n, with_file], schema=ACTIVE))
    return pa.concat_tables(tables).combine_chunks()


_Active = tuple[str, Ints, Ints, Ints]
"""Name of a kind of window; first day, last day and active repositories of each window."""


def _in_calendar(directory: Directory, days: Ints) -> Iterator[_Active]:
    begins = differs_from_previous(directory.repository)
    for name, kind in CALENDAR.items():
        windows = windows_of(kind, map(day_of, days.tolist()))
        first, last = (
            np.array([day_number(day) for day in ends])
            for ends in zip(*((window.first, window.last) for window in windows), strict=True)
        )
        window_of_day = np.searchsorted(first, np.arange(days[0], days[-1] + 1), "right") - 1
        window = window_of_day[directory.day - days[0]]
        new = differs_from_previous(window) | begins
        yield name, first, last, np.bincount(window[new], minlength=len(windows))


def _in_rolling(directory: Directory, days: Ints) -> Iterator[_Active]:
    """Count a repository from each of its launches until the window is past or it has another."""
    day, length = directory.day - np.int32(days[0]), int(days[-1] - days[0]) + 1
    never = np.iinfo(np.int32).max
    following = np.append(day[1:], np.int32(never))
    following[:-1][differs_from_previous(directory.repository)[1:]] = never
    begun = np.cumsum(np.bincount(day, minlength=length))
    for name, width in ROLLING.items():
        left = np.minimum(np.minimum(day + width, following), length)
        ended = np.cumsum(np.bincount(left, minlength=length + 1))[:length]
        yield name, days - width + 1, days, (begun - ended)[days - days[0]]
