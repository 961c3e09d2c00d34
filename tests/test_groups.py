"""Numbers are grouped as Python's own sets, sorting and sums would group them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskbinder.counting.codes import beginnings, distinct, in_order, numbered, one_of_each, sums

sizes = st.sampled_from([1, 2, 9, 1 << 16, (1 << 16) + 1, 1 << 17, 1 << 33, 1 << 62])
numbers = sizes.flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, size - 1) | st.sampled_from([0, size - 1]), max_size=40),
        st.just(size),
    )
)
"""Some numbers, and the size they are below."""


@given(numbers)
@example(([5], 6))
@example(([1, 65_535, 65_537, 1], 65_538))
def test_distinct_values_are_sorted_and_every_row_finds_its_own(
    drawn: tuple[list[int], int],
) -> None:
    number, size = drawn
    values, place = distinct(np.array(number, np.int64), size)
    assert values.tolist() == sorted(set(number))
    assert values[place].tolist() == number
    assert place[one_of_each(place, len(values))].tolist() == list(range(len(values)))


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.int64])
def test_many_rows_are_marked_not_sorted(dtype: type) -> None:
    number = np.arange(10_000).astype(dtype)[::-1] // 3
    values, place = distinct(number, 4_000)
    assert values.tolist() == list(range(3_334))
    assert values[place].tolist() == number.tolist()
    assert place.dtype == np.intp


@given(numbers)
@example(([3, 1 << 20, 3, 1 << 20], (1 << 20) + 1))
def test_rows_that_are_equal_keep_their_order(drawn: tuple[list[int], int]) -> None:
    number, size = drawn
    order, starts = in_order(np.array(number, np.int64), size)
    assert order.tolist() == sorted(range(len(number)), key=lambda row: number[row])
    ranked = sorted(number)
    assert starts.tolist() == [i for i in range(len(ranked)) if ranked[i] not in ranked[:i]]
    assert starts.tolist() == beginnings(np.array(ranked, np.int64)).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1 << 40)), max_size=30))
def test_sums_are_those_of_each_group(rows: list[tuple[int, int]]) -> None:
    wanted: Counter[int] = Counter()
    for group, n in rows:
        wanted[group] += n
    found = sums(np.array([row[0] for row in rows], np.intp), [row[1] for row in rows], 6)
    assert found.dtype == np.int64
    assert found.tolist() == [wanted[group] for group in range(6)]


@given(
    st.lists(st.sampled_from([1, 2, 9, 1 << 16, 1 << 33]), min_size=1, max_size=5).flatmap(
        lambda widths: st.tuples(
            st.just(widths),
            st.lists(st.tuples(*(st.integers(0, width - 1) for width in widths)), max_size=20),
        )
    )
)
@example(([1 << 33, 1 << 29], [(1 << 32, 7), (1 << 32, 6), (1 << 32, 8)]))
@example(([1 << 33, 1 << 33, 9], [(1 << 32, 7, 1), (1, 1 << 32, 8), (1 << 32, 7, 0)]))
def test_numbers_are_in_the_order_of_the_rows(
    drawn: tuple[list[int], list[tuple[int, ...]]],
) -> None:
    widths, rows = drawn
    columns = np.array(rows, np.int64).reshape(-1, len(widths))
    number, size = numbered(zip(columns.T, widths, strict=True))
    assert all(0 <= one < size < 1 << 63 for one in number.tolist())
    by_number = sorted(range(len(rows)), key=lambda row: number[row])
    assert by_number == sorted(range(len(rows)), key=lambda row: rows[row])
    assert len(set(number.tolist())) == len(set(rows))
