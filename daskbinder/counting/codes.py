"""Group-by on integer codes, and the columns that codes stand for.

Codes are dense, so marking and counting replace comparisons. On 100,000 rows that is two to ten
times as fast as numpy's sorting functions.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[Any]
"""An array of integers of any width."""

Column: TypeAlias = "pa.Array | pa.ChunkedArray"


def distinct(codes: Ints) -> tuple[Ints, Ints]:
    """Sort the distinct codes; also return each row's index among them. Both are intp."""
    low, size = _range(codes)
    if size <= 1:
        return np.full(size, low), np.zeros(len(codes), np.intp)
    codes = codes.astype(np.intp, copy=False)
    if low:
        codes = codes - low
    if size > _most_marked(len(codes)):
        order, starts = argsort(codes)
        values = codes[order[starts]]
        index = np.empty(len(order), np.intp)
        index[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    else:
        seen = np.zeros(size, np.bool_)
        seen[codes] = True
        values = np.flatnonzero(seen)
        index_of = np.empty(size, np.intp)
        index_of[values] = np.arange(len(values))
        index = index_of.take(codes)
    return values + low, index


def distinct_rows(columns: Sequence[Ints]) -> tuple[list[Ints], Ints]:
    """Sort the distinct rows of columns of codes; also return each row's index among them.

    Codes must fit 32 bits, so that two multiply to 64.
    """
    code = columns[0].astype(np.intp, copy=False)
    _, size = _range(code)
    for column in columns[1:]:
        _, width = _range(column)
        if size * width > _most_marked(len(code)):
            (left, code), (right, column) = distinct(code), distinct(column)
            size, width = len(left), len(right)
        code, size = code * width + column, size * width
    values, index = distinct(code)
    row = pick_rows(index, len(values))
    return [column[row] for column in columns], index


def _range(codes: Ints) -> tuple[int, int]:
    """Lowest code, and how many integers there are from it to the highest."""
    low, high = (int(codes.min()), int(codes.max())) if len(codes) else (0, -1)
    return low, high - low + 1


def _most_marked(rows: int) -> int:
    """Largest range for which marking is faster than sorting."""
    return 16 * rows + 4096


def argsort(codes: Ints) -> tuple[Ints, Ints]:
    """Find the stable order of codes, none negative, and where in it each distinct code begins.

    Codes are sorted by 16 bits at a time, which numpy does in linear time.
    """
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    for shift in range(16, int(codes.max(initial=0)).bit_length(), 16):
        order = order[np.argsort((codes >> shift).astype(np.uint16).take(order), kind="stable")]
    return order, np.flatnonzero(differs_from_previous(codes.take(order)))


def differs_from_previous(codes: Ints) -> npt.NDArray[np.bool_]:
    """Whether each code differs from the one before it; the first does."""
    return np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)]


def pick_rows(group: Ints, groups: int) -> Ints:
    """Pick a row of each group; `group` has the group of each row."""
    row = np.empty(groups, np.intp)
    row[group] = np.arange(len(group))
    return row


def sum_groups(group: Ints, n: Any, groups: int) -> Ints:
    """Sum `n` over each group; exact, as sums of launches stay far below 2**53."""
    return np.bincount(group, np.asarray(n), minlength=groups).astype(np.int64)


def as_array(column: Column) -> pa.Array:
    """Join the chunks of a column; a single chunk is not copied."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def encode(column: Column) -> tuple[Ints, pa.Array]:
    """Encode a column as int32 codes in its distinct values, whose number stands for null."""
    array = as_array(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(len(array.dictionary)).to_numpy(zero_copy_only=False)
    return codes, array.dictionary


def encode_sorted(column: Column) -> tuple[Ints, pa.Array]:
    """Encode a column as `encode` does, with its values sorted."""
    codes, values = encode(column)
    order = pc.sort_indices(values)
    rank = np.empty(len(order) + 1, np.int32)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)
    return rank.take(codes), values.take(order)


def decode(codes: Ints, values: pa.Array) -> pa.DictionaryArray:
    """Turn codes back into a column, a dictionary without unused values."""
    seen = np.zeros(len(values) + 1, np.bool_)
    seen[codes] = True
    index = np.cumsum(seen, dtype=np.int32) - 1
    indices = pa.array(index[codes], pa.int32(), mask=codes == len(values))
    return pa.DictionaryArray.from_arrays(indices, values.filter(pa.array(seen[:-1])))


def dense_rank(values: pa.Array) -> Ints:
    """Rank values in sorted order, int64; equal ones share a rank and no rank is skipped."""
    return pc.rank(values, tiebreaker="dense").to_numpy().astype(np.int64)


def dates(days: Ints) -> pa.Array:
    """Turn days from 1970-01-01 into dates."""
    return pa.array(days, pa.int32()).cast(pa.date32())
