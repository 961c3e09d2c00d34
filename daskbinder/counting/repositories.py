"""Launches of each repository: day by day, in all, and how many repositories were active when.

Counts and tables in, tables out; no files, no Dask. A table of days has names as they were written;
names that mean one repository come together in the directory, under the one written most often.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct, in_order, is_new, numbered, one_of_each, sums
from daskbinder.counting.counts import Counts
from daskbinder.counting.members import members_of
from daskbinder.model import specs
from daskbinder.model.dates import day_number, day_of
from daskbinder.model.federation import Federation
from daskbinder.model.launch import KEY
from daskbinder.model.windows import windows_of

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
    used, row = distinct(counts.key, len(counts.keys))
    code = {name: counts.keys.codes[used, place] for place, name in enumerate(KEY)}
    values = dict(zip(KEY, counts.keys.values, strict=True))
    version = values["version"].to_numpy()[code["version"]]
    number, size = numbered(
        [
            (code["provider"], len(values["provider"])),
            (version < specs.GIST_SINCE, 2),
            (code["spec"], len(values["spec"])),
        ]
    )
    found, target = distinct(number, size)
    first = one_of_each(target, len(found))
    provider, text = (
        values[name].take(pa.array(code[name][first])) for name in ("provider", "spec")
    )
    targets = specs.resolve(provider, text, pa.array(version[first]))
    return _lay_out(
        counts.day, pa.array(members, pa.string()), member, targets, target[row], counts.n
    )


def arrange(rows: pa.Table) -> pa.Table:
    """Sort rows of `DAILY`, nulls last, and add up those that agree in all but their launches.

    The same launches give the same table, however they were cut into rows; dictionaries hold no
    unused value.
    """
    size = {name: len(_dictionary(rows[name])) + 1 for name in _TARGET}
    found, target = distinct(*numbered((_codes(rows[name]) + 1, size[name]) for name in _TARGET))
    targets = rows.select(specs.Target._fields).take(pa.array(one_of_each(target, len(found))))
    return _lay_out(
        rows["date"].cast(pa.int32()).to_numpy(),
        _dictionary(rows["federation"]),
        _codes(rows["federation"]),
        targets,
        target,
        rows["n"].to_numpy(),
    )


_TARGET = ("provider", "repository", "ref")
"""What tells one target from another; an organisation belongs to its repository."""


def _lay_out(
    day: Ints, members: pa.Array, member: Ints, targets: pa.Table, target: Ints, n: Ints
) -> pa.Table:
    """Lay rows out: `member` and `target` are places in `members` and `targets`."""
    member_rank, members = _ranks(members)
    ranks = {name: _ranks(targets[name]) for name in targets.column_names}
    found, same = distinct(*numbered((ranks[n][0], len(ranks[n][1]) + 1) for n in _TARGET))
    first, target = one_of_each(same, len(found)), same[target]
    day0, days = (int(day.min()), int(np.ptp(day)) + 1) if len(day) else (0, 1)
    number, size = numbered(
        [(day - day0, days), (member_rank[member], len(members)), (target, len(first))]
    )
    order, starts = in_order(number, size)
    kept = order[starts]
    columns = [_dates(day[kept]), _column(member_rank[member[kept]], members)]
    columns += (
        _column(codes[first[target[kept]]], values)
        for codes, values in (ranks[name] for name in specs.Target._fields)
    )
    launches = np.add.reduceat(n[order], starts) if len(starts) else n
    return pa.table([*columns, launches], schema=DAILY)


def without(rows: pa.Table, days: Collection[int]) -> pa.Table:
    """Only the rows of `DAILY` of other days than these."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    return rows.filter(pa.array(~np.isin(day, list(days))))


@dataclass(frozen=True)
class Visits:
    """Which repositories were launched on which days, and how often in all.

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

    COLUMNS: ClassVar = ["date", "provider", "repository", "org", "n"]
    """The columns of `DAILY` that tell of them."""

    def __sizeof__(self) -> int:
        return int(self.names.nbytes) + self.day.nbytes + self.name.nbytes

    @classmethod
    def of(cls, rows: pa.Table) -> "Visits":
        """Read rows of `DAILY`, sorted by date as ever."""
        day = rows["date"].cast(pa.int32()).to_numpy()
        names, name = _named(rows.select([*_NAME, "n"]))
        day0, days = (int(day[0]), int(day[-1] - day[0]) + 1) if len(day) else (0, 0)
        width = max(len(names), 1)
        number = (day - day0).astype(np.int64) * width + name
        visits = distinct(number, days * width)[0].astype(np.int32)
        return cls(names, visits // width + day0, visits % width)

    @classmethod
    def together(cls, parts: Sequence["Visits"]) -> "Visits":
        """Bring those of disjoint months together."""
        above = np.cumsum([0, *(len(part.names) for part in parts)], dtype=np.int32)
        shifted = (part.name + at for part, at in zip(parts, above[:-1], strict=True))
        names = pa.concat_tables([_NO_NAMES, *(part.names for part in parts)])
        names, name = _named(names.unify_dictionaries().combine_chunks())
        name = name.astype(np.int32).take(np.concatenate([_NOTHING, *shifted]))
        day = np.concatenate([_NOTHING, *(part.day for part in parts)])
        if (day[1:] < day[:-1]).any():
            order = np.argsort(day, kind="stable")
            name, day = name.take(order), day.take(order)
        return cls(names, day, name)


def _named(rows: pa.Table) -> tuple[pa.Table, Ints]:
    """Names that occur in rows, each once, with the sum of their launches; and each row's name."""
    width = max(len(_dictionary(rows["repository"])), 1)
    number = _codes(rows["provider"]) * width + _codes(rows["repository"])
    known, name = distinct(number, len(_dictionary(rows["provider"])) * width)
    names = rows.select(_NAME).take(pa.array(one_of_each(name, len(known))))
    n = pa.array(sums(name, rows["n"], len(known)))
    return names.append_column(DAILY.field("n"), n), name


_NAME = ["provider", "repository", "org"]
_NOTHING = np.empty(0, np.int32)
_NO_NAMES = pa.Table.from_batches([], DAILY).select([*_NAME, "n"])


@dataclass(frozen=True)
class Directory:
    """All repositories, and the days on which each was launched.

    Attributes
    ----------
    table : pyarrow.Table
        Rows of `DIRECTORY`.
    repository, day : ndarray of int32
        Rows of the table, sorted, and the days each was launched on, in days from 1970-01-01 and
        in order.
    """

    table: pa.Table
    repository: Ints
    day: Ints

    @classmethod
    def of(cls, visits: Visits) -> "Directory":
        """List the repositories that were visited.

        Of names that mean one repository it gets that with the most launches, the first in the
        alphabet among equals.
        """
        names = visits.names
        provider, repository, org = (array_of(names[name]) for name in _NAME)
        n = names["n"].to_numpy()
        texts = repository.cast(pa.string())
        keys = specs.keys(provider.cast(pa.string()), texts).dictionary_encode()
        number = _codes(provider) * max(len(keys.dictionary), 1) + _codes(keys)
        same, code = distinct(number, len(provider.dictionary) * len(keys.dictionary))
        alphabet = ranking(texts)
        order = np.lexsort([alphabet, -n, code])
        chosen = order[np.searchsorted(code[order], np.arange(len(same)))]
        total = sums(code, n, len(same))
        # the most launched first; then by name
        order = np.lexsort([alphabet[chosen], _ranks(provider)[0][chosen], -total])
        rank = np.empty(len(same), np.int32)
        rank[order] = np.arange(len(same))
        chosen, total = chosen[order], total[order]

        row = rank[code].take(visits.name)
        order, _ = in_order(row, len(same))
        row, day = row.take(order), visits.day.take(order)
        new = is_new(row) | is_new(day)
        if not new.all():
            row, day = row[new], day[new]
        days = np.bincount(row, minlength=len(same))
        starts = np.concatenate([[0], np.cumsum(days)])
        chosen = pa.array(chosen)
        columns = [
            _column(*_ranks(provider.take(chosen))),
            texts.take(chosen),
            org.take(chosen).cast(pa.string()),
            total,
            days,
            _dates(day[starts[:-1]]),
            _dates(day[starts[1:] - 1]),
        ]
        return cls(pa.table(columns, schema=DIRECTORY), row, day)


def identities(provider: pa.Array, repository: pa.Array) -> pa.Array:
    """Text that is the same for names that mean one thing of a provider, and for no others."""
    providers = array_of(provider).dictionary_encode()
    names = providers.dictionary
    length = pc.cast(pc.binary_length(names), pa.string())
    head = pc.binary_join_element_wise(length, names, " ").take(providers.indices)
    key = specs.keys(provider, repository)
    mark = pc.if_else(pc.is_valid(key), "=", "")
    return array_of(pc.binary_join_element_wise(head, mark, key.fill_null(""), " "))


def count_active(directory: Directory, present: Iterable[int]) -> pa.Table:
    """Count the repositories that were active in each of `WINDOWS`.

    Parameters
    ----------
    directory : Directory
        All repositories and their days.
    present : iterable of int
        The dates whose day file there is, in days from 1970-01-01.

    Returns
    -------
    pyarrow.Table
        Rows of `ACTIVE`, sorted by window and day. There is one for each window of the calendar
        that holds a date with a file or a launch, and a rolling one that ends with each such date.
    """
    row, day = directory.repository, directory.day
    there = np.unique(np.fromiter(present, np.int64))
    low = int(day.min(initial=0))
    dates = np.unique(np.concatenate([there, np.flatnonzero(np.bincount(day - low)) + low]))
    if not len(dates):
        return ACTIVE.empty_table()
    day0, days = int(dates[0]), int(dates[-1] - dates[0]) + 1
    begins = is_new(row)
    tables = []
    for name, kind in CALENDAR.items():
        windows = windows_of(kind, map(day_of, dates.tolist()))
        first = np.array([day_number(window.first) for window in windows])
        last = np.array([day_number(window.last) for window in windows])
        window = (np.searchsorted(first, np.arange(days) + day0, "right") - 1)[day - day0]
        n = np.bincount(window[is_new(window) | begins], minlength=len(windows))
        tables.append(_active(name, first, last, n, there))
    # A launch keeps its repository in rolling windows until they have left it behind, or the
    # repository's next launch has taken its place.
    begun = np.cumsum(np.bincount(day - day0, minlength=days))
    following = np.append(day, np.int32(0))[1:]
    following[:-1][begins[1:]] = never = np.iinfo(np.int32).max
    following[-1:] = never
    for name, length in ROLLING.items():
        left = np.minimum(np.minimum(day + length, following) - day0, days)
        n = begun - np.cumsum(np.bincount(left, minlength=days + 1))[:days]
        tables.append(_active(name, dates - length + 1, dates, n[dates - day0], there))
    return pa.concat_tables(tables).combine_chunks()


def _active(name: str, first: Ints, last: Ints, n: Ints, there: Ints) -> pa.Table:
    days = np.searchsorted(there, last, "right") - np.searchsorted(there, first)
    window = pa.DictionaryArray.from_arrays(
        pa.array(np.full(len(n), WINDOWS.index(name)), pa.int32()), pa.array(WINDOWS)
    )
    columns = [window, _dates(first), _dates(last), pa.array(n), pa.array(days)]
    return pa.table(columns, schema=ACTIVE)


def _dates(days: Ints) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


def array_of(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array of a column, not copied if it is one already."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _dictionary(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Distinct values of a column that is a dictionary."""
    return array_of(column).dictionary


def _codes(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Places of a column's values in its dictionary, -1 for null."""
    codes = array_of(column).indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(codes, np.int64)


def ranking(values: pa.Array) -> Ints:
    """Rank of each of some distinct or equal values."""
    return pc.rank(values, tiebreaker="dense").to_numpy().astype(np.int64)


def _ranks(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, pa.Array]:
    """Codes of a column in its sorted distinct values, their number standing for null."""
    encoded = array_of(column)
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
    """Make a column of codes in values, their number standing for null, without unused values."""
    seen = np.zeros(len(values) + 1, np.bool_)
    seen[codes] = True
    place = np.cumsum(seen, dtype=np.int32) - 1
    indices = pa.array(place[codes], pa.int32(), mask=codes == len(values))
    return pa.DictionaryArray.from_arrays(indices, values.filter(pa.array(seen[:-1])))
