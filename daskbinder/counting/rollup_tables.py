"""Counts as tables, one per rollup, and back."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct
from daskbinder.counting.counts import Counts, Keys, group_rows
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

_Table = tuple[int, int, int]
"""Index of a table's window, its first row among those of all tables, and its number of rows."""


def to_table(counts: Counts) -> pa.Table:
    """Lay counts out as a rollup: the columns of `SCHEMA`, sorted by timestamp and key.

    Dictionaries hold no unused value, so the same launches give the same table whatever else was
    counted along with them.
    """
    return next(to_tables([(None, counts)]))


def to_tables(rollups: Iterable[tuple[Hashable, Counts]]) -> Iterator[pa.Table]:
    """Lay out the counts of windows, each as `to_table` does.

    Each count comes with its window. Counts of one window in different grains must hold the same
    keys. Neighbours that share their `Keys`, as all cut from one value do, are laid out together.
    """
    for _, group in groupby(rollups, key=lambda rollup: id(rollup[1].keys)):
        yield from _tables(*zip(*group, strict=True))


def _tables(windows: Sequence[Hashable], rollups: Sequence[Counts]) -> Iterator[pa.Table]:
    keys = rollups[0].keys
    index: dict[Hashable, int] = {}
    window = [index.setdefault(name, len(index)) for name in windows]
    sizes = [len(counts.n) for counts in rollups]
    starts = np.cumsum([0, *sizes])[:-1].tolist()
    tables = list(zip(window, starts, sizes, strict=True))

    width = max(len(keys), 1)
    key_of_row = np.concatenate([counts.key for counts in rollups])
    entries, row = distinct(np.repeat(window, sizes) * width + key_of_row)
    window_of, key = np.divmod(entries, width)
    hour = np.concatenate([counts.hour for counts in rollups]).astype(np.int64)
    n = np.concatenate([counts.n for counts in rollups])
    columns = [
        _split(pa.array(hour * HOUR, TIMESTAMP), tables),
        *(
            _column(codes.take(key), values, window_of, row, tables)
            for codes, values in zip(keys.codes.T, keys.values, strict=True)
        ),
        _split(pa.array(n), tables),
    ]
    for arrays in zip(*columns, strict=True):
        yield pa.Table.from_arrays(arrays, schema=SCHEMA)


def _split(column: pa.Array, tables: Sequence[_Table]) -> Iterator[pa.Array]:
    """Split a column by table; nothing is copied."""
    return (column.slice(start, size) for _, start, size in tables)


def _column(
    codes: Ints, values: pa.Array, window: Ints, row: Ints, tables: Sequence[_Table]
) -> Iterator[pa.Array]:
    """Lay out a column, split by table; text as dictionaries of what each window holds.

    `codes` and `window` have an entry for each key of each window, sorted by window; `row` has the
    index of its entry for each row of all tables.
    """
    if len(codes) and (codes == codes[0]).all() and all(size for *_, size in tables):
        return _split(_constant(values.slice(codes[0], 1), len(row)), tables)
    is_null = codes == len(values)
    nulls = is_null.take(row) if is_null.any() else None
    if not pa.types.is_string(values.type):
        return _split(values.take(pa.array(codes.take(row), mask=nulls)), tables)
    windows = np.arange(2 + max(window for window, *_ in tables))
    width = len(values) + 1
    pairs, entry = distinct(window * width + codes)
    owner, used = np.divmod(pairs, width)
    index = entry - np.searchsorted(owner, windows).take(window)
    indices = pa.array(index.astype(np.int32).take(row), mask=nulls)
    owner, used = (column[used < len(values)] for column in (owner, used))
    dictionary, bounds = values.take(pa.array(used)), np.searchsorted(owner, windows).tolist()
    return (
        pa.DictionaryArray.from_arrays(
            indices.slice(start, size),
            dictionary.slice(bounds[of], bounds[of + 1] - bounds[of]),
            safe=False,
        )
        for of, start, size in tables
    )


def _constant(value: pa.Array, rows: int) -> pa.Array:
    """Lay out a column that holds one value in every row, or only nulls if there is none."""
    indices = pa.array(np.zeros(rows, np.int32)) if len(value) else pa.nulls(rows, pa.int32())
    if pa.types.is_string(value.type):
        return pa.DictionaryArray.from_arrays(indices, value, safe=False)
    return value.take(indices)


def from_table(rows: pa.Table) -> Counts:
    """Read counts back from a rollup, each on the date of its timestamp."""
    keys, key = Keys.of(rows)
    hour = rows["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    return group_rows(keys, hour // 24, hour, key, n=rows["n"].to_numpy())


def count_secret(rows: pa.Table) -> int:
    """Launches, among rows of a rollup, by specs that hold a password, a user or a token."""
    if not len(rows):  # an empty table may have no columns
        return 0
    spec = rows["spec"].combine_chunks()
    return pc.sum(pc.if_else(hold_secrets(spec), rows["n"].combine_chunks(), 0)).as_py() or 0
