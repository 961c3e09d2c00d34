"""Codes are grouped as Python's own sets, sorting and sums would group them."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskbinder.counting.codes import (
    argsort,
    decode,
    differs_from_previous,
    distinct,
    distinct_rows,
    encode,
    encode_sorted,
    pick_rows,
    sum_groups,
)

SIZES = [1, 2, 9, 1 << 16, (1 << 16) + 1, 1 << 17, 1 << 31]
sizes = st.sampled_from([*SIZES, 1 << 33, 1 << 62])
codes = sizes.flatmap(
    lambda size: st.lists(st.integers(0, size - 1) | st.sampled_from([0, size - 1]), max_size=40)
)


@given(codes, st.sampled_from([0, 1, -3, -719_163]))
@example([5], 0)
@example([1, 65_535, 65_537, 1], 0)
@example([0, 1 << 40], 7)
def test_distinct_codes_are_sorted_and_every_row_finds_its_own(drawn: list[int], low: int) -> None:
    rows = [code + low for code in drawn]
    values, index = distinct(np.array(rows, np.int64))
    assert values.tolist() == sorted(set(rows))
    assert values[index].tolist() == rows
    assert values.dtype == index.dtype == np.intp
    assert index[pick_rows(index, len(values))].tolist() == list(range(len(values)))


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.int64])
def test_many_rows_are_marked_not_sorted(dtype: type) -> None:
    rows = np.arange(10_000).astype(dtype)[::-1] // 3
    values, index = distinct(rows)
    assert values.tolist() == list(range(3_334))
    assert values[index].tolist() == rows.tolist()
    assert index.dtype == np.intp


@given(codes)
@example([3, 1 << 20, 3, 1 << 20])
def test_rows_that_are_equal_keep_their_order(rows: list[int]) -> None:
    order, starts = argsort(np.array(rows, np.int64))
    assert order.tolist() == sorted(range(len(rows)), key=lambda row: rows[row])
    ranked = sorted(rows)
    assert starts.tolist() == [i for i in range(len(ranked)) if ranked[i] not in ranked[:i]]
    new = differs_from_previous(np.array(ranked, np.int64))
    assert starts.tolist() == np.flatnonzero(new).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1 << 40)), max_size=30))
def test_sums_are_those_of_each_group(rows: list[tuple[int, int]]) -> None:
    wanted: Counter[int] = Counter()
    for group, n in rows:
        wanted[group] += n
    sums = sum_groups(np.array([row[0] for row in rows], np.intp), [row[1] for row in rows], 6)
    assert sums.dtype == np.int64
    assert sums.tolist() == [wanted[group] for group in range(6)]


@given(
    st.lists(st.sampled_from(SIZES), min_size=1, max_size=5).flatmap(
        lambda widths: st.tuples(
            st.just(len(widths)),
            st.lists(st.tuples(*(st.integers(0, width - 1) for width in widths)), max_size=20),
        )
    ),
    st.sampled_from([0, 1, -719_163]),
)
@example((2, [(1 << 30, 7), (1 << 30, 6), (1 << 30, 8)]), 0)
@example((3, [(1 << 30, 7, 1), (1, 1 << 30, 8), (1 << 30, 7, 0)]), 0)
def test_distinct_rows_are_sorted_and_every_row_finds_its_own(
    drawn: tuple[int, list[tuple[int, ...]]], low: int
) -> None:
    columns = np.array(drawn[1], np.int64).reshape(-1, drawn[0]).T + low
    rows = list(zip(*columns.tolist(), strict=True))
    found, index = distinct_rows(columns)
    values = list(zip(*(column.tolist() for column in found), strict=True))
    assert values == sorted(set(rows))
    assert [values[i] for i in index.tolist()] == rows


@given(st.lists(st.none() | st.sampled_from(["b", "a", "c", "ä", ""]), max_size=12))
def test_columns_are_encoded_and_decoded(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    for encoded in (encode(column), encode_sorted(pa.chunked_array([column[:5], column[5:]]))):
        decoded = decode(*encoded)
        assert decoded.to_pylist() == texts
        assert len(decoded.dictionary) == len({*texts} - {None})
    assert encoded[1].to_pylist() == sorted({*texts} - {None})
    assert encoded[0].dtype == np.int32
