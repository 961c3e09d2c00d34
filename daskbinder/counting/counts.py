"""The arithmetic of counts: count a scan, merge counts, cut out a window, lay it out as a table.

Counts are a value: arrays in, arrays out. Merging is associative and commutative, so however the
lines of an archive are cut into blocks, the same rows come out. Nothing here reads or writes a
file, and nothing here knows of Dask.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct, in_order, numbered, one_of_each
from daskbinder.counting.scan import Scan
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import COLUMNS, HOUR, KEY, TIMESTAMP
from daskbinder.model.specs import hold_secrets

SCHEMA = pa.schema(
    [
        pa.field("timestamp", TIMESTAMP, nullable=False),
        *(
            pa.field(
                name,
                pa.dictionary(pa.int32(), dtype) if dtype == pa.string() else dtype,
                nullable=COLUMNS[name].nullable,
            )
            for name, dtype in KEY.items()
        ),
        pa.field("n", pa.int64(), nullable=False),
    ]
)
"""Columns of a rollup."""


@dataclass(frozen=True)
class Keys:
    """Distinct keys of rollup rows, sorted column by column, nulls last.

    Attributes
    ----------
    codes : ndarray of int32, shape (keys, columns)
        For each column of `KEY` the place of the key's value in `values`, and their number for a
        null.
    values : tuple of pyarrow.Array
        The sorted distinct values of each column.
    """

    codes: Ints
    values: tuple[pa.Array, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def secret(self) -> Ints:
        """Whether each key has a spec that holds a password, a user or a token."""
        place = list(KEY).index("spec")
        found = hold_secrets(self.values[place]).to_numpy(zero_copy_only=False)
        return np.asarray(found, np.bool_)[self.codes[:, place]]

    def __sizeof__(self) -> int:
        return self.codes.nbytes + sum(values.nbytes for values in self.values)


@dataclass(frozen=True)
class Counts:
    """Launches by day, hour and key.

    Attributes
    ----------
    keys : Keys
        The distinct keys.
    day : ndarray of int32
        The date a row belongs to, in days from 1970-01-01.
    hour : ndarray of int32
        The row's timestamp, in hours from 1970-01-01 UTC.
    key : ndarray of int32
        Row of `keys`.
    n : ndarray of int64
        Launches.

    Notes
    -----
    Rows are unique and sorted by day, hour and key.
    """

    keys: Keys
    day: Ints
    hour: Ints
    key: Ints
    n: Ints

    def __sizeof__(self) -> int:
        # by this Dask decides where to compute; without it, tables would be thought of as nothing
        rows = sum(column.nbytes for column in (self.day, self.hour, self.key, self.n))
        return rows + self.keys.__sizeof__()

    @property
    def secret(self) -> int:
        """Launches by specs that hold a password, a user or a token."""
        return int(self.n[self.keys.secret[self.key]].sum()) if self.keys.secret.any() else 0

    def between(self, first: int, last: int) -> "Counts":
        """Only the rows of the days from `first` to `last`, both included."""
        # of another type, they would have all days converted to it
        bounds = np.array([first, last + 1], self.day.dtype)
        return self._rows(slice(*np.searchsorted(self.day, bounds).tolist()))

    def without(self, days: Collection[int]) -> "Counts":
        """Only the rows of other days than these."""
        return self._rows(~np.isin(self.day, list(days)))

    def on(self, days: Collection[int]) -> "Counts":
        """Only the rows of these days."""
        return self._rows(np.isin(self.day, list(days)))

    def by_day(self) -> "Counts":
        """Counts with every timestamp floored to its UTC day."""
        return _group(self.keys, self.day, self.hour // 24 * 24, self.key, n=self.n)

    def _rows(self, rows: "slice | Ints") -> "Counts":
        return Counts(self.keys, self.day[rows], self.hour[rows], self.key[rows], self.n[rows])


EMPTY = Counts(
    Keys(np.empty((0, len(KEY)), np.int32), tuple(pa.nulls(0, dtype) for dtype in KEY.values())),
    *(np.empty(0, dtype) for dtype in (np.int32, np.int32, np.int32, np.int64)),
)


def count(scan: Scan, origin: str = MYBINDER.origin) -> Counts:
    """Count launches by hour; each belongs to its own UTC date, whichever file it stood in.

    Those without an origin get `origin`: before version 3 of their schema only one host published.
    """
    hour = scan.times // HOUR
    return _count(scan, hour // 24, hour, scan.time, origin)


def count_rounded(scan: Scan, grain: int) -> Counts:
    """Count launches as the older notebook does.

    Parameters
    ----------
    scan : Scan
        The launches.
    grain : int
        Timestamps are rounded to the nearest multiple of so many hours, ties to even multiples
        (pandas' ``Series.dt.round``). Launches belong to the date of their file.

    Returns
    -------
    Counts
        With null origins left as they are.
    """
    unit = grain * HOUR
    whole, rest = scan.times // unit, scan.times % unit
    up = (2 * rest > unit) | ((2 * rest == unit) & (whole % 2 == 1))
    file = np.repeat(np.arange(len(scan.tallies)), [tally.accepted for tally in scan.tallies])
    day = np.repeat([tally.day for tally in scan.tallies], len(whole))
    hour = np.tile((whole + up) * grain, len(scan.tallies))
    return _count(scan, day, hour, file * len(whole) + scan.time, None)


def _count(scan: Scan, day: Ints, hour: Ints, slot: Ints, origin: str | None) -> Counts:
    """Count launches; `slot` has the place of each in `day` and `hour`."""
    if not len(slot):
        return EMPTY
    columns = [_sorted(scan.launches[name].combine_chunks()) for name in KEY]
    if origin is not None:
        place = list(KEY).index("origin")
        columns[place] = _filled(*columns[place], origin)
    keys, key = _keys_of(columns)
    return _group(keys, day, hour, key.take(scan.launch), slot=slot)


def _keys_of(columns: Sequence[tuple[Ints, pa.Array]]) -> tuple[Keys, Ints]:
    """Distinct keys of rows given column by column as `_sorted` does, and the key of each row."""
    codes = np.stack([codes for codes, _ in columns], axis=1)
    keys, (key,) = _unify([Keys(codes, tuple(values for _, values in columns))])
    return keys, key


def _sorted(column: pa.Array) -> tuple[Ints, pa.Array]:
    """Codes of a column in its sorted distinct values, their number standing for null."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    order = pc.sort_indices(column.dictionary)
    rank = np.empty(len(order) + 1, np.int32)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)
    codes = column.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return rank.take(codes), column.dictionary.take(order)


def _filled(codes: Ints, values: pa.Array, value: str) -> tuple[Ints, pa.Array]:
    """Replace the nulls of a column given as codes in sorted values."""
    if not (codes == len(values)).any():
        return codes, values
    together = pa.concat_arrays([values, pa.array([value], values.type)])
    place, values = _sorted(together)
    return place[codes], values


def merge(parts: Sequence[Counts]) -> Counts:
    """Add counts up."""
    parts = [part for part in parts if len(part.n)]
    if not parts:
        return EMPTY
    keys, places = _unify([part.keys for part in parts])
    return _group(
        keys,
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.hour for part in parts]),
        np.concatenate([place.take(part.key) for place, part in zip(places, parts, strict=True)]),
        n=np.concatenate([part.n for part in parts]),
    )


def _unify(parts: Sequence[Keys]) -> tuple[Keys, list[Ints]]:
    """Distinct keys of all `parts`, and the place among them of the keys of each."""
    codes = np.concatenate([part.codes for part in parts])
    bounds = np.cumsum([len(part) for part in parts])[:-1]
    values = []
    for column, of_parts in enumerate(zip(*(part.values for part in parts), strict=True)):
        if all(one.equals(of_parts[0]) for one in of_parts[1:]):
            values.append(of_parts[0])
            continue
        place, together = _sorted(pa.concat_arrays(of_parts))
        ends = np.cumsum([len(one) for one in of_parts])[:-1]
        for rows, ranks in zip(np.split(codes, bounds), np.split(place, ends), strict=True):
            rows[:, column] = np.append(ranks, len(together))[rows[:, column]]
        values.append(together)

    found, place = distinct(
        *numbered((codes[:, column], len(known) + 1) for column, known in enumerate(values))
    )
    first = one_of_each(place, len(found))
    return Keys(codes[first], tuple(values)), np.split(place.astype(np.int32), bounds)


def _group(
    keys: Keys, day: Ints, hour: Ints, key: Ints, *, slot: Ints | None = None, n: Ints | None = None
) -> Counts:
    """Sort rows by day, hour and key and add up those that agree in all.

    A row stands for `n` launches, one by default. With `slot`, it has the day and hour that stand
    at that place of `day` and `hour`.
    """
    if not len(key):
        return EMPTY
    day0, hour0 = int(day.min()), int(hour.min())
    days, hours = int(day.max()) - day0 + 1, int(hour.max()) - hour0 + 1
    width = max(len(keys), 1)
    if days * hours * width > np.iinfo(np.int64).max:
        raise OverflowError(f"{days} days x {hours} hours x {width} keys are too many to group")
    number = ((day - day0).astype(np.int64) * hours + (hour - hour0)) * width
    number = (number if slot is None else number.take(slot)) + key
    if slot is not None or not (number[1:] > number[:-1]).all():
        order, first = in_order(number, days * hours * width)
        number = number.take(order.take(first))
        n = (
            np.diff(first, append=len(order))
            if n is None
            else np.add.reduceat(n.take(order), first)
        )
    assert n is not None
    rest, key = np.divmod(number, width)
    day, hour = np.divmod(rest, hours)
    return Counts(
        keys,
        (day + day0).astype(np.int32),
        (hour + hour0).astype(np.int32),
        key.astype(np.int32),
        n.astype(np.int64),
    )


def table(counts: Counts) -> pa.Table:
    """Lay counts out as rows of a rollup.

    Parameters
    ----------
    counts : Counts
        The rows of one window.

    Returns
    -------
    pyarrow.Table
        With the columns of `SCHEMA`, sorted by timestamp and key; dictionaries hold no unused
        value. Windows of the same launches give the same table, whatever else was counted along
        with them.
    """
    return next(tables([(None, counts)]))


def secret_in(rows: pa.Table) -> int:
    """Launches, among rows of a table, by specs that hold a password, a user or a token."""
    if not len(rows):  # then it may have no column either
        return 0
    spec = rows["spec"].combine_chunks()
    return pc.sum(pc.if_else(hold_secrets(spec), rows["n"].combine_chunks(), 0)).as_py() or 0


def tables(rollups: Iterable[tuple[Hashable, Counts]]) -> Iterator[pa.Table]:
    """Lay the counts of windows out, as `table` does one by one.

    Counts come with their window, and those of one window, by another grain, hold the same keys.
    Those in a row that share their keys, as all cut from one value do, are laid out together.
    """
    for _, group in groupby(rollups, key=lambda rollup: id(rollup[1].keys)):
        yield from _tables(*zip(*group, strict=True))


def _tables(windows: Sequence[Hashable], rollups: Sequence[Counts]) -> Iterator[pa.Table]:
    keys, width = rollups[0].keys, max(len(rollups[0].keys), 1)
    numbers: dict[Hashable, int] = {}
    places = [numbers.setdefault(window, len(numbers)) for window in windows]
    sizes = [len(counts.n) for counts in rollups]
    number = np.repeat(np.multiply(places, width), sizes)
    number += np.concatenate([counts.key for counts in rollups])
    used, row = distinct(number, len(numbers) * width)
    window, key = np.divmod(used, width)
    hour = np.concatenate([counts.hour for counts in rollups])
    columns = [
        _Column(pa.array(hour.astype(np.int64) * HOUR, TIMESTAMP)),
        *(
            _column(codes.take(key), values, window, len(numbers), row)
            for codes, values in zip(keys.codes.T, keys.values, strict=True)
        ),
        _Column(pa.array(np.concatenate([counts.n for counts in rollups]))),
    ]
    start = 0
    for place, size in zip(places, sizes, strict=True):
        arrays = [column.of(place, start, size) for column in columns]
        yield pa.Table.from_arrays(arrays, schema=SCHEMA)
        start += size


class _Column(NamedTuple):
    """One column of the tables of some windows, one below the other.

    With a dictionary, rows are places in the part of it that is their window's, which runs from one
    of `bounds` to the other.
    """

    rows: pa.Array
    dictionary: pa.Array | None = None
    bounds: Sequence[tuple[int, int]] = ()

    def of(self, window: int, start: int, size: int) -> pa.Array:
        """Column of one of the tables; nothing is copied."""
        rows = self.rows.slice(start, size)
        if self.dictionary is None:
            return rows
        first, stop = self.bounds[window]
        values = self.dictionary.slice(first, stop - first)
        return pa.DictionaryArray.from_arrays(rows, values, safe=False)


def _column(codes: Ints, values: pa.Array, window: Ints, windows: int, row: Ints) -> _Column:
    """Lay a column out; text as dictionaries of what each window holds.

    Parameters
    ----------
    codes, window : ndarray of int
        Value and window of each key of a window, sorted by window.
    values : pyarrow.Array
        The values, their number standing for null.
    windows : int
        Number of windows.
    row : ndarray of int
        Place in `codes` of each row of all tables.
    """
    null = codes == len(values)
    nulls = null.take(row) if null.any() else None
    if not pa.types.is_string(values.type):
        return _Column(values.take(pa.array(codes.take(row), mask=nulls)))
    width = len(values) + 1
    used, place = distinct(window * width + codes, windows * width)
    owner, used = np.divmod(used, width)
    first = np.searchsorted(owner, np.arange(windows + 1))
    stop = first[1:] - np.bincount(owner[used == len(values)], minlength=windows)
    rows = pa.array((place - first.take(window)).astype(np.int32).take(row), mask=nulls)
    dictionary = values.take(pa.array(used, mask=used == len(values)))
    return _Column(rows, dictionary, list(zip(first.tolist(), stop.tolist(), strict=False)))


def read_table(rows: pa.Table) -> Counts:
    """Counts that `table` laid out, each on the date of its timestamp."""
    if not len(rows):
        return EMPTY
    keys, key = _keys_of([_sorted(rows[name].combine_chunks()) for name in KEY])
    hour = rows["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    return _group(keys, hour // 24, hour, key, n=rows["n"].to_numpy())
