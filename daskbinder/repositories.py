"""Launches of each repository: day by day, in all, and how many repositories were active when.

Counts and tables in, tables out; no files, no Dask. A table of days has names as they were written;
names that mean one repository come together in the directory, under the one written most often.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder import spec
from daskbinder.events import day_number, day_of
from daskbinder.federation import Federation
from daskbinder.rollup import KEY, Counts
from daskbinder.scan import Ints
from daskbinder.series import members_of
from daskbinder.windows import window_of

_TEXT = pa.dictionary(pa.int32(), pa.string())
_NAMED = {"federation": True, "provider": True, "repository": True, "org": False, "ref": False}

DAILY = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(pa.field(name, _TEXT, nullable=not always) for name, always in _NAMED.items()),
        pa.field("n", pa.int64(), nullable=False),
    ]
)
"""Columns of the launches of a month by day; ``org`` is null where a spec fits nothing."""

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
"""Columns of the directory: a row a repository, the most launched first."""

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
repositories had a launch in it, and how many of its days there are."""

CALENDAR = {"day": "daily", "week": "weekly", "month": "monthly"}
ROLLING = {"7d": 7, "30d": 30, "90d": 90}
WINDOWS = (*CALENDAR, *ROLLING)
"""Windows in which active repositories are counted; rolling ones end with each day."""


def count_repositories(counts: Counts, federation: Federation) -> pa.Table:
    """Add counts up by date, federation member, repository and ref, as rows of `DAILY`."""
    members, member = members_of(counts, federation)
    used, row = np.unique(counts.key, return_inverse=True)
    at = {name: counts.keys.codes[used, place] for place, name in enumerate(KEY)}
    of = dict(zip(KEY, counts.keys.values, strict=True))
    version = of["version"].to_numpy()
    early = np.append(version < spec.GIST_SINCE, False)[at["version"]]
    number = (at["provider"].astype(np.int64) * 2 + early) * len(of["spec"]) + at["spec"]
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    targets = spec.resolve(
        *(of[name].take(pa.array(at[name][first])) for name in ("provider", "spec", "version"))
    )
    rows = pa.array(place[row])
    columns = {
        name: targets[name].combine_chunks().dictionary_encode().take(rows)
        for name in targets.column_names
    }
    columns["federation"] = pa.DictionaryArray.from_arrays(
        pa.array(member, pa.int32()), pa.array(members, pa.string())
    )
    columns |= {"date": pa.array(counts.day, pa.int32()).cast(pa.date32()), "n": counts.n}
    return arrange(pa.table([columns[name] for name in DAILY.names], names=DAILY.names))


def arrange(rows: pa.Table) -> pa.Table:
    """Sort rows of `DAILY`, nulls last, and add up those that agree in all but their launches.

    The same launches give the same table, however they were cut into rows; dictionaries hold no
    unused value.
    """
    codes, values = {}, {}
    for name in _NAMED:
        codes[name], values[name] = _ranks(rows[name])
    target = _numbered([(codes[name], len(values[name]) + 1) for name in _TARGET])
    distinct, target = np.unique(target, return_inverse=True)
    day = rows["date"].cast(pa.int32()).to_numpy().astype(np.int64)
    number = (day * (len(values["federation"]) + 1) + codes["federation"]) * len(distinct) + target
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=number[:1] - 1)) if len(order) else order
    n = np.add.reduceat(rows["n"].to_numpy()[order], starts) if len(starts) else rows["n"]
    kept = order[starts]
    columns = [pa.array(day[kept], pa.int32()).cast(pa.date32())]
    columns += (_column(codes[name][kept], values[name]) for name in _NAMED)
    return pa.table([*columns, n], schema=DAILY)


_TARGET = ("provider", "repository", "ref")


def without(rows: pa.Table, days: Collection[int]) -> pa.Table:
    """Only the rows of `DAILY` of other days than these."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    return rows.filter(pa.array(~np.isin(day, list(days))))


@dataclass(frozen=True)
class Visits:
    """Which repositories were launched on which days, and how often in all.

    Attributes
    ----------
    spellings : pyarrow.Table
        ``provider``, ``repository``, ``org``, ``n``: each name of each month, as it was written.
    day : ndarray of int
        Days from 1970-01-01.
    spelling : ndarray of int
        The rows of `spellings` launched on these days.
    """

    spellings: pa.Table
    day: Ints
    spelling: Ints

    @classmethod
    def of(cls, rows: pa.Table) -> "Visits":
        """Read rows of `DAILY`."""
        named = {name: _ranks(rows[name]) for name in ("provider", "repository", "org")}
        number = _numbered([(codes, len(values) + 1) for codes, values in named.values()])
        distinct, first, spelling = np.unique(number, return_index=True, return_inverse=True)
        n = np.zeros(len(distinct), np.int64)
        np.add.at(n, spelling, rows["n"].to_numpy())
        texts = {
            name: _column(codes[first], values).dictionary_decode()
            for name, (codes, values) in named.items()
        }
        day = rows["date"].cast(pa.int32()).to_numpy().astype(np.int64)
        pairs = np.unique(day * max(len(distinct), 1) + spelling)
        day, spelling = np.divmod(pairs, max(len(distinct), 1))
        return cls(pa.table(texts | {"n": n}), day, spelling)

    @classmethod
    def together(cls, parts: Sequence["Visits"]) -> "Visits":
        """Bring those of disjoint days together."""
        above = np.cumsum([0, *(len(part.spellings) for part in parts)])
        return cls(
            pa.concat_tables([_NO_SPELLINGS, *(part.spellings for part in parts)]).combine_chunks(),
            np.concatenate([_NOTHING, *(part.day for part in parts)]),
            np.concatenate(
                [_NOTHING, *(part.spelling + at for part, at in zip(parts, above, strict=False))]
            ),
        )


_NOTHING = np.empty(0, np.int64)
_NO_SPELLINGS = pa.table(
    {
        **dict.fromkeys(("provider", "repository", "org"), pa.array([], pa.string())),
        "n": pa.array([], pa.int64()),
    }
)


def direct(visits: Visits) -> tuple[pa.Table, Ints, Ints]:
    """Make the directory of repositories.

    Parameters
    ----------
    visits : Visits
        All there are.

    Returns
    -------
    directory : pyarrow.Table
        Rows of `DIRECTORY`. Of names that mean one repository it has that with the most launches,
        the first in the alphabet among equals.
    day, repository : ndarray of int
        The days each row of the directory was launched on, sorted by row and day.
    """
    names = visits.spellings
    same = identities(names["provider"], names["repository"]).dictionary_encode()
    code = same.indices.to_numpy().astype(np.int64)
    size = len(same.dictionary)
    spelled = names.append_column("code", pa.array(code)).group_by(
        ["code", "provider", "repository", "org"]
    )
    spelled = spelled.aggregate([("n", "sum")]).sort_by(
        [("code", "ascending"), ("n_sum", "descending"), ("repository", "ascending")]
    )
    _, chosen = np.unique(spelled["code"].to_numpy(), return_index=True)
    n = np.zeros(size, np.int64)
    np.add.at(n, code, names["n"].to_numpy())

    span = int(visits.day.max(initial=0)) + 1
    number = np.unique(code[visits.spelling] * span + visits.day)
    repository, day = np.divmod(number, span)
    starts = np.searchsorted(repository, np.arange(size))
    ends = np.searchsorted(repository, np.arange(size), side="right")
    directory = spelled.take(pa.array(chosen)).select(["provider", "repository", "org"])
    directory = (
        directory.append_column("n", pa.array(n))
        .append_column("days", pa.array(ends - starts))
        .append_column("first_seen", _dates(day[starts]))
        .append_column("last_seen", _dates(day[ends - 1]))
        .append_column("code", pa.array(np.arange(size)))
        .sort_by([("n", "descending"), ("provider", "ascending"), ("repository", "ascending")])
    )
    order = directory["code"].to_numpy()
    rank = np.empty(size, np.int64)
    rank[order] = np.arange(size)
    directory = directory.drop_columns("code").combine_chunks()
    provider = _column(*_ranks(directory["provider"]))
    directory = directory.set_column(0, "provider", provider).cast(DIRECTORY)
    number = np.sort(rank[repository] * span + day)
    repository, day = np.divmod(number, span)
    return directory, day, repository


def identities(provider: pa.Array, repository: pa.Array) -> pa.Array:
    """Text that is the same for names that mean one repository, and for no others."""
    length = pc.cast(pc.binary_length(provider), pa.string())
    key = spec.keys(provider, repository)
    found = pc.binary_join_element_wise(length, provider, key, " ")
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def count_active(day: Ints, repository: Ints, present: Iterable[int]) -> pa.Table:
    """Count the repositories that were active in each of `WINDOWS`.

    Parameters
    ----------
    day, repository : ndarray of int
        The days each repository was launched on, sorted by repository and day.
    present : iterable of int
        The dates whose day file there is, in days from 1970-01-01.

    Returns
    -------
    pyarrow.Table
        Rows of `ACTIVE`, sorted by window and day. There is one for each window that holds a date
        with a file or a launch, and for each such date a rolling one that ends with it.
    """
    there = np.unique(np.fromiter(present, np.int64))
    dates = np.unique(np.concatenate([there, day]))
    tables = []
    for name, kind in CALENDAR.items():
        windows = [window_of(kind, day_of(date)) for date in dates.tolist()]
        first = np.array([day_number(window.first) for window in windows], np.int64)
        last = np.array([day_number(window.last) for window in windows], np.int64)
        starts, at = np.unique(first, return_index=True)
        of_day = np.searchsorted(starts, first)[np.searchsorted(dates, day)]
        active = np.unique(repository * max(len(starts), 1) + of_day) % max(len(starts), 1)
        n = np.bincount(active, minlength=len(starts))
        tables.append(_active(name, starts, last[at], n, there))
    later = np.append(day[1:], 0)
    later[np.append(repository[1:] != repository[:-1], [True] * bool(len(day)))] = _NEVER
    for name, length in ROLLING.items():
        gone = np.minimum(day + length, later)
        begun, ended = np.sort(day), np.sort(gone)
        n = np.searchsorted(begun, dates, "right") - np.searchsorted(ended, dates, "right")
        tables.append(_active(name, dates - length + 1, dates, n, there))
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


_NEVER = np.iinfo(np.int64).max


def _active(name: str, first: Ints, last: Ints, n: Ints, there: Ints) -> pa.Table:
    days = np.searchsorted(there, last, "right") - np.searchsorted(there, first)
    window = pa.DictionaryArray.from_arrays(
        pa.array(np.full(len(n), WINDOWS.index(name)), pa.int32()), pa.array(WINDOWS)
    )
    columns = [window, _dates(first), _dates(last), pa.array(n), pa.array(days)]
    return pa.table(columns, schema=ACTIVE)


def _dates(days: Ints) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


def _ranks(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Codes of a column in its sorted distinct values, their number standing for null."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    values = encoded.dictionary
    order = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)
    codes = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return rank[codes], values.take(pa.array(order))


def _column(codes: Ints, values: pa.Array) -> pa.DictionaryArray:
    """Make a column of codes in sorted values, and drop the values that are not used."""
    seen = np.zeros(len(values) + 1, np.bool_)
    seen[codes] = True
    place = np.cumsum(seen, dtype=np.int32) - 1
    indices = pa.array(place[codes], pa.int32(), mask=codes == len(values))
    return pa.DictionaryArray.from_arrays(indices, values.filter(pa.array(seen[:-1])))


def _numbered(columns: Sequence[tuple[Ints, int]]) -> Ints:
    """Number rows by several columns of codes, in the order of the rows sorted by them."""
    number, size = columns[0]
    for codes, width in columns[1:]:
        if size * width > _NEVER:
            distinct, number = np.unique(number, return_inverse=True)
            size = len(distinct)
        number, size = number * width + codes, size * width
    return number
