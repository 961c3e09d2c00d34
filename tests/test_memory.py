"""What day files are read into is used again, and never while something still reads it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest

from conftest import MakeLaunch
from daskbinder.archive.dayfiles import list_day_files
from daskbinder.archive.reading import parts_of
from daskbinder.archive.sample import write_sample
from daskbinder.counting.kernel import COMPILED_FROM
from daskbinder.counting.rollup_tables import to_table
from daskbinder.pipeline.counting_tasks import Counted, count_block
from daskbinder.pipeline.request import CountRules, RunPolicy
from daskbinder.storage import buffers
from daskbinder.storage.location import Location

SIZE = 1 << 20


@pytest.fixture
def run() -> Iterator[None]:
    with buffers.frugal():
        yield


def _address(piece: memoryview) -> int:
    return int(np.frombuffer(piece, np.uint8).ctypes.data)


@pytest.mark.usefixtures("run")
def test_every_file_is_read_into_the_same_memory() -> None:
    with buffers.read_buffer() as allocate:
        first, second = _address(allocate(SIZE)), _address(allocate(SIZE // 2))
    with buffers.read_buffer() as allocate:
        assert _address(allocate(10)) == second == first


@pytest.mark.usefixtures("run")
def test_blocks_at_the_same_time_have_different_memory() -> None:
    with buffers.read_buffer() as one, buffers.read_buffer() as other:
        assert abs(_address(one(SIZE)) - _address(other(SIZE))) >= SIZE


@pytest.mark.usefixtures("run")
def test_a_block_that_fails_leaves_its_memory_to_the_traceback() -> None:
    with suppress(ValueError), buffers.read_buffer() as allocate:
        piece = allocate(SIZE)
        raise ValueError("failed")
    with buffers.read_buffer() as allocate:
        assert _address(allocate(SIZE)) != _address(piece)


@pytest.mark.usefixtures("run")
def test_a_larger_file_gets_more_memory() -> None:
    with buffers.read_buffer() as allocate:
        allocate(SIZE)
        assert len(allocate(3 * SIZE)) == 3 * SIZE
        large = _address(allocate(3 * SIZE))
    with buffers.read_buffer() as allocate:
        assert _address(allocate(SIZE)) == large


def test_nothing_is_kept_where_no_run_is() -> None:
    with buffers.frugal(), buffers.read_buffer() as allocate:
        allocate(SIZE)
    for _ in range(2):
        with buffers.read_buffer() as allocate:
            before = pa.total_allocated_bytes()
            piece = allocate(SIZE)
            assert pa.total_allocated_bytes() - before >= SIZE
            del piece


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("run_bytes", [0, COMPILED_FROM])
@pytest.mark.parametrize("compat", [None, "notebook"])
def test_counts_outlive_the_bytes_they_were_read_from(
    compat: Literal["notebook"] | None, run_bytes: int, launch: MakeLaunch, tmp_path: Path
) -> None:
    day = date(2021, 3, 1)
    write_sample(tmp_path, days=1, start=day, events_per_day=500)
    odd = [launch(f"{day}T08:00", spec=f"a/\\u00e9{i}/main", ref=f"\t{i}") for i in range(99)]
    lines = [*map(json.dumps, odd), "[]", "{", '{"schema": 1}', "no JSON", *map(str, odd)]
    with (tmp_path / f"events-{day}.jsonl").open("a") as file:
        file.write("\n".join(lines))

    def shown(counted: Counted) -> str:
        tables = {grain: to_table(counts).to_pylist() for grain, counts in counted.counts.items()}
        return repr((tables, counted.tallies))

    place = Location.at(tmp_path)
    parts = list(parts_of(list_day_files(place), 20_000))
    given = place, parts, CountRules(compat=compat), RunPolicy(blocksize=SIZE)
    counted = count_block(*given, run_bytes=run_bytes)
    before = shown(counted)
    with buffers.read_buffer() as allocate:
        allocate(SIZE)[:] = b"\xff" * SIZE
    assert shown(counted) == before
    assert shown(count_block(*given, run_bytes=run_bytes)) == before
