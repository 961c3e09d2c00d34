"""A line is JSON when Python's ``json`` says so, however long its numbers, however deep it is."""

import json
import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import MakeLaunch
from daskbinder.model import jsontext
from daskbinder.model.dates import day_number
from daskbinder.model.launch import Launch, Reason, read_line

DAY = day_number(date(2021, 3, 4))
DEEP = 3_000


def wanted(text: str) -> Any:
    """What Python's json reads, the two constants beyond the standard left out."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def found(text: str) -> Any:
    return jsontext.loads(text.encode())


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
SCRAPS = st.sampled_from(
    [*'[]{}:,"0129-.eE+\\/ \t\n\r', "null", "true", "NaN", "-Infinity", "1e999", '"a"', "\\ud800"]
)


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_all_that_python_writes_is_read_as_python_reads_it(value: Any, indent: Any) -> None:
    text = json.dumps(value, indent=indent)
    assert found(text) == wanted(text)


@given(st.lists(SCRAPS, max_size=12).map("".join))
def test_scraps_are_json_when_python_says_so(text: str) -> None:
    try:
        value = wanted(text)
    except ValueError:
        with pytest.raises(ValueError):
            found(text)
    else:
        assert found(text) == value


@given(st.lists(SCRAPS, max_size=12).map("".join), st.booleans())
def test_deep_inside_the_same_scraps_are_json(text: str, in_object: bool) -> None:
    """Many containers around them: the outermost is read, the others are only checked."""
    inner = '{"a":' * DEEP + "[" + text + "]" + "}" * DEEP
    outer = f'{{"x": {inner}, "y": 1}}' if in_object else f"[{inner}, 1]"
    try:
        wanted(f"[{text}]")
    except ValueError:
        with pytest.raises(ValueError):
            found(outer)
    else:
        assert found(outer) == ({"x": {}, "y": 1} if in_object else [{}, 1])


@pytest.mark.parametrize(
    "text",
    [
        *("[" * DEEP, "]" * DEEP, "[" * DEEP + "]" * (DEEP - 1), "[" * DEEP + "]" * (DEEP + 1)),
        *("[" * DEEP + "}" * DEEP, "[" * DEEP + "]" * DEEP + "1", '{"a":' * DEEP + "}" * DEEP),
    ],
)
def test_deep_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        found(text)


def test_a_million_levels_are_read() -> None:
    depth = 1_000_000
    assert found('{"a": 1, "b": ' + "[" * depth + "]" * depth + "}") == {"a": 1, "b": []}


def test_numbers_of_any_length_are_numbers() -> None:
    assert found("9" * 5_000) == found("1e999") == math.inf
    assert found("-" + "9" * 5_000) == -math.inf
    assert found('["\\ud800", 123456789012345678]')[1] == 123456789012345678


IGNORED = {
    "beyond a double": "1e999",
    "a long integer": "9" * 400,
    "an integer longer than Python reads": "9" * 5_000,
    "half a surrogate pair": '"\\ud800"',
    "deep lists": "[" * 1_100 + "]" * 1_100,
    "deep objects": '{"a":' * 1_100 + "1" + "}" * 1_100,
}


@pytest.mark.parametrize("what", IGNORED)
def test_a_field_that_is_ignored_rejects_no_line(what: str, launch: MakeLaunch) -> None:
    line = json.dumps(launch())
    plain = read_line(line.encode(), DAY)
    for odd in (f'{{"x": {IGNORED[what]}, {line[1:]}', f'{line[:-1]}, "x": {IGNORED[what]}}}'):
        assert read_line(odd.encode(), DAY) == plain
    assert plain is not None
    for constant in ("NaN", "-Infinity"):
        assert read_line(f'{{"x": {constant}, {line[1:]}'.encode(), DAY) == Reason.NOT_JSON


@pytest.mark.parametrize("field", ["provider", "spec", "status", "origin", "request_origin"])
def test_half_a_surrogate_pair_in_a_field_that_counts_is_a_bad_field(
    field: str, launch: MakeLaunch
) -> None:
    line = json.dumps(launch() | {field: "a\ud800"}).encode()
    assert read_line(line, DAY) == Reason.BAD_FIELD


def test_half_a_surrogate_pair_in_a_ref_is_no_ref(launch: MakeLaunch) -> None:
    read = read_line(json.dumps(launch(ref="\udc00")).encode(), DAY)
    assert isinstance(read, tuple)
    assert isinstance(read[1], Launch)
    assert read[1].ref is None
