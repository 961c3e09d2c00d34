"""CSV of what strangers wrote: each row is a row, each text is text."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskbinder.text import write_csv

SIGNS = "=+-@＝＋－＠"
BEFORE = ';,\t \xa0\ufeff\u200b\u200d\u2060\u202e\r\n\x00\x1b"'
TEXT = st.text(st.sampled_from(SIGNS + BEFORE + "a'1(é"), max_size=9) | st.text(max_size=9)


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def bare(text: str) -> str:
    """Text without the marks that make it no formula."""
    return text.replace("'", "")


def is_formula(cell: str) -> bool:
    return cell.lstrip(BEFORE).startswith(tuple(SIGNS))


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=4))
@example([("a\r=1+1", "b", "c")])
@example([(";=1+1", "\t=1+1", "\xa0=1+1"), ("\ufeff=1+1", ",=1+1", "a;=1+1")])
def test_rows_come_back_and_no_cell_is_a_formula(rows: list[tuple[str, ...]]) -> None:
    found = read(write_csv(rows[0], rows[1:]))
    assert [[bare(cell) for cell in row] for row in found] == [
        [bare(cell) for cell in row] for row in rows
    ]
    assert not any(is_formula(cell) for row in found for cell in row)


@given(st.lists(TEXT, min_size=1, max_size=4))
@example(["a\r=1+1"])
@example(["a\n=1+1"])
@example(["a;=1+1"])
@example(['a;"=1+1"'])
@example(["a\t=1+1"])
def test_no_part_is_a_formula_where_others_divide_cells(names: list[str]) -> None:
    """By semicolons or tabs, and at every end of a line, as if there were no quotes."""
    text = write_csv(["name"], [[name] for name in names])
    parts = re.split(r"[;,\t\r\n]", text)
    assert not any(is_formula(part) for part in parts)


@pytest.mark.parametrize(
    "name", ["jupyter/nbviewer", "a-b", "owner/c++", "10.5281/zenodo.1", "a, b", 'say "a"', "été"]
)
def test_an_ordinary_name_is_written_as_it_is(name: str) -> None:
    assert read(write_csv(["name"], [[name]])) == [["name"], [name]]


def test_numbers_stay_numbers_and_lines_end_as_they_did() -> None:
    assert write_csv(["a", "b"], [[-1, 2.5], [None, "x"]]) == "a,b\n-1,2.5\n,x\n"


def test_a_long_name_takes_no_long_time() -> None:
    for sign in BEFORE:
        assert len(write_csv(["name"], [[sign * 100_000]])) >= 100_000
