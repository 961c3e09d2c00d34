"""The arithmetic of counts: count a scan, merge counts, cut out a window, lay it out as a table.

Counts are a value: arrays in, arrays out. Merging is associative and commutative, so however the
lines of an archive are cut into blocks, the same rows come out. Nothing here reads or writes a
file, and nothing here knows of Dask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.events import FIELDS, HOUR, TIMESTAMP
from daskbinder.scan import Ints, Scan

KEY = {name: dtype for name, dtype in FIELDS.items() if name != "ref"}
"""The columns that tell one row of a rollup from another, beside its timestamp, and their types."""

FIRST_ORIGIN = "gke.mybinder.org"
"""The origin of events that have none: before version 3 only that host published."""


@dataclass(frozen=True)
class Counts:
    """Launches by day, hour and key.

    Attributes
    ----------
    keys : pyarrow.Table
        The distinct keys, sorted, with the columns of `KEY`, each a dictionary in sorted order.
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

    keys: pa.Table
    day: Ints
    hour: Ints
    key: Ints
    n: Ints

    def between(self, first: int, last: int) -> "Counts":
        """Only the rows of the days from `first` to `last`, both included."""
        rows = slice(*np.searchsorted(self.day, [first, last + 1]).tolist())
        return Counts(self.keys, self.day[rows], self.hour[rows], self.key[rows], self.n[rows])

    def by_day(self) -> "Counts":
        """Counts with every timestamp floored to its UTC day."""
        return _group(self.keys, self.day, self.hour // 24 * 24, self.key, self.n)


EMPTY = Counts(
    pa.table({name: pa.array([], dtype).dictionary_encode() for name, dtype in KEY.items()}),
    *(np.empty(0, dtype) for dtype in (np.int32, np.int32, np.int32, np.int64)),
)


def count(scan: Scan) -> Counts:
    """Count launches by hour; each belongs to its own UTC date, whichever file it stood in."""
    hour = scan.stamp // HOUR
    return _count(scan, hour // 24, hour, FIRST_ORIGIN)


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
    whole, rest = scan.stamp // unit, scan.stamp % unit
    up = (2 * rest > unit) | ((2 * rest == unit) & (whole % 2 == 1))
    day = np.repeat([t.day for t in scan.tallies], [t.accepted for t in scan.tallies])
    return _count(scan, day, (whole + up) * grain, None)


def _count(scan: Scan, day: Ints, hour: Ints, origin: str | None) -> Counts:
    columns = {name: scan.launches[name] for name in KEY}
    if origin is not None:
        columns["origin"] = _filled(columns["origin"], origin)
    keys, ids = _unify([pa.table(columns)])
    return _group(keys, day, hour, ids[0][scan.launch], np.ones(len(hour), np.int64))


def _filled(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    """Replace the nulls of a dictionary column; the dictionary alone is looked at."""
    if not column.null_count:
        return column
    column = column.combine_chunks()
    names = [*column.dictionary.to_pylist(), value]
    codes = column.indices.fill_null(names.index(value))
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, names)])


def merge(parts: Sequence[Counts]) -> Counts:
    """Add counts up."""
    parts = [part for part in parts if len(part.n)]
    if not parts:
        return EMPTY
    keys, ids = _unify([part.keys for part in parts])
    return _group(
        keys,
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.hour for part in parts]),
        np.concatenate([place[part.key] for place, part in zip(ids, parts, strict=True)]),
        np.concatenate([part.n for part in parts]),
    )


def _unify(tables: Sequence[pa.Table]) -> tuple[pa.Table, list[Ints]]:
    """Sorted distinct keys of all `tables`, and the place of the rows of each among them."""
    together = pa.concat_tables(tables).unify_dictionaries()
    place = np.zeros(len(together), np.int64)
    columns = {}
    for name in KEY:
        column = together[name].combine_chunks()
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        order = pc.sort_indices(column.dictionary)
        rank = np.empty(len(order) + 1, np.int64)
        rank[order] = np.arange(len(order))
        rank[len(order)] = len(order)
        codes = rank[column.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)]
        columns[name] = codes, column.dictionary.take(order)
        if len(order) + (column.null_count > 0) > 1:
            _, place = np.unique(place * (len(order) + 1) + codes, return_inverse=True)
    _, first = np.unique(place, return_index=True)
    keys = pa.table(
        {
            name: pa.DictionaryArray.from_arrays(
                pa.array(codes[first], pa.int32(), mask=codes[first] == len(values)), values
            )
            for name, (codes, values) in columns.items()
        }
    )
    bounds = np.cumsum([len(table) for table in tables])[:-1]
    return keys, np.split(place.astype(np.int32), bounds)


def _group(keys: pa.Table, day: Ints, hour: Ints, key: Ints, n: Ints) -> Counts:
    """Sort rows by day, hour and key, adding up those that agree in all three."""
    if not len(n):
        return EMPTY
    day0, hour0 = int(day.min()), int(hour.min())
    days, hours = int(day.max()) - day0 + 1, int(hour.max()) - hour0 + 1
    width = max(len(keys), 1)
    if days * hours * width > np.iinfo(np.int64).max:
        raise OverflowError(f"{days} days x {hours} hours x {width} keys are too many to group")
    place = ((day - day0).astype(np.int64) * hours + (hour - hour0)) * width + key
    order = np.argsort(place, kind="stable")
    place, n = place[order], n[order]
    first = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    place = place[first]
    rest, key = np.divmod(place, width)
    day, hour = np.divmod(rest, hours)
    return Counts(
        keys,
        (day + day0).astype(np.int32),
        (hour + hour0).astype(np.int32),
        key.astype(np.int32),
        np.add.reduceat(n, first),
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
        ``timestamp`` (us, UTC), the columns of `KEY` (text as dictionaries that hold no unused
        value) and ``n`` (int64), sorted by timestamp and key. Windows of the same launches give
        the same table, whatever else was counted along with them.
    """
    used = np.zeros(len(counts.keys), np.bool_)
    used[counts.key] = True
    place = np.cumsum(used, dtype=np.int32) - 1
    rows = place[counts.key]
    keys = counts.keys.filter(pa.array(used))
    columns = {"timestamp": pa.array(counts.hour.astype(np.int64) * HOUR, TIMESTAMP)}
    for name, dtype in KEY.items():
        column = _compact(keys[name].combine_chunks())
        column = column.take(pa.array(rows))
        columns[name] = column if dtype == pa.string() else column.dictionary_decode()
    columns["n"] = pa.array(counts.n, pa.int64())
    return pa.table(columns)


def _compact(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Drop the values of a sorted dictionary that no row uses; the order stays."""
    codes = column.indices.drop_null().to_numpy()
    used = np.zeros(len(column.dictionary), np.bool_)
    used[codes] = True
    place = pa.array(np.cumsum(used, dtype=np.int32) - 1)
    return pa.DictionaryArray.from_arrays(
        place.take(column.indices), column.dictionary.filter(pa.array(used))
    )
