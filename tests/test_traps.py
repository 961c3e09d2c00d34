"""What pyarrow.json would have done with lines of the archive, and what becomes of them here.

Each test first shows the trap: when a release of Arrow closes one, its test says so.
"""

import io
import json
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.json
import pytest

from conftest import MakeLaunch
from daskbinder.counting.scan import Body, Scan, scan
from daskbinder.model.dates import day_number

DAY = date(2021, 3, 4)


def arrow(data: bytes, **options: Any) -> pa.Table:
    return pyarrow.json.read_json(io.BytesIO(data), **options)


def ours(data: bytes) -> Scan:
    return scan([Body(f"events-{DAY}.jsonl", day_number(DAY), data)])


def rejected(found: Scan) -> dict[str, int]:
    return {str(reason): n for reason, n in found.tallies[0].rejected.items()}


@pytest.fixture
def line(launch: MakeLaunch) -> bytes:
    return json.dumps(launch()).encode() + b"\n"


def test_invalid_utf8_is_let_in(line: bytes) -> None:
    bad = line.replace(b"ipython/", b"ipy\xff\xfethon/", 1)
    taken = arrow(bad)["spec"].chunk(0)
    with pytest.raises(pa.ArrowInvalid):
        taken.validate(full=True)
    found = ours(line + bad + line)
    assert rejected(found) == {"not-utf8": 1}
    assert found.tallies[0].accepted == 2
    found.launches.validate(full=True)


def test_two_objects_on_a_line_are_two_rows(line: bytes) -> None:
    both = line.rstrip() + b" " + line
    assert len(arrow(both)) == 2
    found = ours(line + both)
    assert (found.tallies[0].accepted, rejected(found)) == (1, {"not-json": 1})


def test_a_line_longer_than_a_block_ends_the_file(line: bytes) -> None:
    long = line.replace(b"{", b'{"x": "' + b"y" * (3 << 20) + b'", ', 1)
    with pytest.raises(pa.ArrowInvalid, match="straddling"):
        arrow(line + long + line)
    assert ours(line + long + line).tallies[0].accepted == 3


@pytest.mark.parametrize("bad", [b"{", b'{"spec": NaN}', b'{"spec": "\\ud800"}', b"7", b"x\x00"])
def test_one_bad_line_ends_the_file(line: bytes, bad: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        arrow(line + bad + b"\n" + line)
    found = ours(line + bad + b"\n" + line)
    assert found.tallies[0].accepted == 2
    assert sum(rejected(found).values()) == 1


def test_types_are_guessed(launch: MakeLaunch) -> None:
    events = [launch(spec="1234567"), launch(timestamp="2021-03-04T10:17:00.5+05:45")]
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    plain = json.dumps(launch()).encode() + b"\n"
    assert arrow(plain)["timestamp"].type == pa.timestamp("s")  # the offset is lost
    assert arrow(lines[1] + plain)["timestamp"].type == pa.string()  # one odd line turns the column
    found = ours(lines[0] + lines[1])
    specs = found.launches["spec"].cast(pa.string()).to_pylist()
    assert specs[found.launch[0]] == "1234567"
    stamps = found.times[found.time] // 60_000_000 % 1440
    assert stamps.tolist() == [10 * 60 + 17, 4 * 60 + 32]


def test_versions_that_mix_are_one_table(launch: MakeLaunch) -> None:
    old = launch(version=1, origin=None, ref=None, build_token=None)
    odd = launch(version=5) | {"build_token": "yes"}
    data = b"".join(json.dumps(event).encode() + b"\n" for event in (old, odd, launch()))
    with pytest.raises(pa.ArrowInvalid, match="changed from"):
        arrow(data)
    found = ours(data)
    assert (found.tallies[0].accepted, rejected(found)) == (2, {"bad-field": 1})
