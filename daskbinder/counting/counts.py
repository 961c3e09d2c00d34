"""Counts of launches as values: count a scan, merge counts, select days.

Merging is associative and commutative, so the rows do not depend on how an archive is cut into
blocks. No file access, no Dask.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, argsort, distinct_rows, encode_sorted
from daskbinder.counting.scan import Scan
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import HOUR, KEY
from daskbinder.model.specs import hold_secrets


@dataclass(frozen=True)
class Keys:
    """Distinct keys of rollup rows, sorted column by column, nulls last.

    Attributes
    ----------
    codes : ndarray of int32, shape (keys, columns)
        For each column of `KEY`, the index in `values` of the key's value; their number for null.
    values : tuple of pyarrow.Array
        The sorted distinct values of each column.
    """

    codes: Ints
    values: tuple[pa.Array, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __sizeof__(self) -> int:
        return self.codes.nbytes + sum(values.nbytes for values in self.values)

    def column(self, name: str) -> tuple[Ints, pa.Array]:
        """Codes and values of one column."""
        index = list(KEY).index(name)
        return self.codes[:, index], self.values[index]

    @cached_property
    def secret(self) -> Ints:
        """Whether each key has a spec that holds a password, a user or a token."""
        codes, specs = self.column("spec")
        return np.asarray(hold_secrets(specs).to_numpy(zero_copy_only=False), np.bool_)[codes]

    @classmethod
    def of(cls, rows: pa.Table) -> tuple["Keys", Ints]:
        """Find the distinct keys of rows of a table; also return the key of each row."""
        codes, values = zip(*(encode_sorted(rows[name]) for name in KEY), strict=True)
        distinct_codes, key = distinct_rows(codes)
        return cls(np.stack(distinct_codes, axis=1).astype(np.int32), values), key


@dataclass(frozen=True)
class Counts:
    """Launches by day, hour and key; rows are unique and sorted by these.

    Attributes
    ----------
    keys : Keys
        The distinct keys; some may be used by no row.
    day : ndarray of int32
        The date a row belongs to, in days from 1970-01-01.
    hour : ndarray of int32
        The row's timestamp, in hours from 1970-01-01 UTC.
    key : ndarray of int32
        Row of `keys`.
    n : ndarray of int64
        Launches.
    """

    keys: Keys
    day: Ints
    hour: Ints
    key: Ints
    n: Ints

    def __sizeof__(self) -> int:
        # Dask decides by this where to compute; it cannot see into Arrow arrays
        rows = sum(column.nbytes for column in (self.day, self.hour, self.key, self.n))
        return rows + self.keys.__sizeof__()

    @property
    def secret(self) -> int:
        """Launches by specs that hold a password, a user or a token."""
        return int(self.n[self.keys.secret[self.key]].sum()) if self.keys.secret.any() else 0

    def between(self, first: int, last: int) -> "Counts":
        """Only the rows of the days from `first` to `last`, both included."""
        bounds = np.array([first, last + 1], self.day.dtype)  # of another type, they convert `day`
        return self._rows(slice(*np.searchsorted(self.day, bounds).tolist()))

    def without(self, days: Collection[int]) -> "Counts":
        """Only the rows of days other than these."""
        return self._rows(~np.isin(self.day, list(days)))

    def on(self, days: Collection[int]) -> "Counts":
        """Only the rows of these days."""
        return self._rows(np.isin(self.day, list(days)))

    def by_day(self) -> "Counts":
        """Counts with every timestamp floored to its UTC day."""
        return group_rows(self.keys, self.day, self.hour // 24 * 24, self.key, n=self.n)

    def _rows(self, rows: "slice | Ints") -> "Counts":
        return Counts(self.keys, self.day[rows], self.hour[rows], self.key[rows], self.n[rows])


EMPTY = Counts(
    Keys(np.empty((0, len(KEY)), np.int32), tuple(pa.nulls(0, dtype) for dtype in KEY.values())),
    *(np.empty(0, dtype) for dtype in (np.int32, np.int32, np.int32, np.int64)),
)


def count(scan: Scan, origin: str = MYBINDER.origin) -> Counts:
    """Count launches by hour; each belongs to its own UTC date, whichever file it was in.

    Launches without an origin get `origin`: before version 3 of the schema one host published.
    """
    launches = scan.launches
    if launches["origin"].null_count:
        filled = pc.fill_null(launches["origin"].cast(pa.string()), origin)
        launches = launches.set_column(launches.schema.get_field_index("origin"), "origin", filled)
    hour = scan.times // HOUR
    keys, key = Keys.of(launches)
    return group_rows(keys, hour // 24, hour, key.take(scan.launch), slot=scan.time)


def count_rounded(scan: Scan, grain: int) -> Counts:
    """Count launches as the older notebook does; null origins are left as they are.

    Timestamps are rounded to the nearest multiple of `grain` hours, ties to even multiples (pandas'
    ``Series.dt.round``). Launches belong to the date of their file.
    """
    unit = grain * HOUR
    whole, rest = scan.times // unit, scan.times % unit
    up = (2 * rest > unit) | ((2 * rest == unit) & (whole % 2 == 1))
    file = np.repeat(np.arange(len(scan.tallies)), [tally.accepted for tally in scan.tallies])
    day = np.repeat([tally.day for tally in scan.tallies], len(whole))
    hour = np.tile((whole + up) * grain, len(scan.tallies))
    keys, key = Keys.of(scan.launches)
    return group_rows(keys, day, hour, key.take(scan.launch), slot=file * len(whole) + scan.time)


def merge(parts: Sequence[Counts]) -> Counts:
    """Merge counts by adding them up."""
    parts = [part for part in parts if len(part.n)]
    if not parts:
        return EMPTY
    keys, key = _merge_keys([part.keys for part in parts])
    return group_rows(
        keys,
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.hour for part in parts]),
        np.concatenate([of.take(part.key) for of, part in zip(key, parts, strict=True)]),
        n=np.concatenate([part.n for part in parts]),
    )


def _merge_keys(parts: Sequence[Keys]) -> tuple[Keys, list[Ints]]:
    """Distinct keys of all parts, and for each part the index among them of each of its keys."""
    codes = np.concatenate([part.codes for part in parts])
    starts = np.cumsum([len(part) for part in parts])[:-1]
    values = []
    for column, of_parts in enumerate(zip(*(part.values for part in parts), strict=True)):
        if all(other.equals(of_parts[0]) for other in of_parts[1:]):
            values.append(of_parts[0])
            continue
        rank, merged = encode_sorted(pa.concat_arrays(of_parts))
        value_starts = np.cumsum([len(of_part) for of_part in of_parts])[:-1]
        for rows, ranks in zip(np.split(codes, starts), np.split(rank, value_starts), strict=True):
            rows[:, column] = np.append(ranks, len(merged))[rows[:, column]]
        values.append(merged)
    merged_codes, key = distinct_rows([*codes.T])
    keys = Keys(np.stack(merged_codes, axis=1).astype(np.int32), tuple(values))
    return keys, np.split(key.astype(np.int32), starts)


def group_rows(
    keys: Keys, day: Ints, hour: Ints, key: Ints, *, slot: Ints | None = None, n: Ints | None = None
) -> Counts:
    """Sort rows by day, hour and key, and add up those that agree in all three.

    A row stands for `n` launches, one by default. With `slot`, `day` and `hour` have one
    entry per slot, and `slot` is each row's index in them.
    """
    if not len(key):
        return EMPTY
    day0, hour0 = int(day.min()), int(hour.min())
    days, hours = int(day.max()) - day0 + 1, int(hour.max()) - hour0 + 1
    width = max(len(keys), 1)
    if days * hours * width > np.iinfo(np.int64).max:
        raise OverflowError(f"{days} days x {hours} hours x {width} keys are too many to group")
    code = ((day - day0).astype(np.int64) * hours + (hour - hour0)) * width
    code = (code if slot is None else code.take(slot)) + key
    if n is None or not (code[1:] > code[:-1]).all():
        order, starts = argsort(code)
        code = code.take(order.take(starts))
        sizes = np.diff(starts, append=len(order))
        n = sizes if n is None else np.add.reduceat(n.take(order), starts)
    rest, key = np.divmod(code, width)
    day, hour = np.divmod(rest, hours)
    return Counts(
        keys,
        (day + day0).astype(np.int32),
        (hour + hour0).astype(np.int32),
        key.astype(np.int32),
        n.astype(np.int64),
    )
