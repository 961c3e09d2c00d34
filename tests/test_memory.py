"""What day files are read into is used again, and never while something still reads it."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from daskbinder.archive.dayfiles import list_day_files, parts_of
from daskbinder.archive.sample import write_sample
from daskbinder.counting.counts import table
from daskbinder.pipeline.counting_tasks import count_block
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
def test_the_next_block_is_read_into_the_same_memory() -> None:
    with buffers.block(SIZE):
        first, second = _address(buffers.allocate(SIZE // 2)), _address(buffers.allocate(SIZE // 2))
    with buffers.block(SIZE):
        assert _address(buffers.allocate(10)) == first
    assert second == first + SIZE // 2


@pytest.mark.usefixtures("run")
def test_what_something_holds_is_left_alone() -> None:
    with buffers.block(SIZE):
        piece = buffers.allocate(SIZE)
        piece[:] = b"a" * SIZE
        held = pa.py_buffer(piece[5:9])
    del piece
    with buffers.block(SIZE):
        buffers.allocate(SIZE)[:] = b"b" * SIZE
    assert held.to_pybytes() == b"aaaa"


@pytest.mark.usefixtures("run")
def test_what_does_not_fit_gets_memory_of_its_own() -> None:
    with buffers.block(SIZE):
        inside = buffers.allocate(SIZE)
        assert len(buffers.allocate(3 * SIZE)) == 3 * SIZE
    del inside
    with buffers.block(5 * SIZE):
        assert len(buffers.allocate(5 * SIZE)) == 5 * SIZE


def test_nothing_is_kept_where_no_run_is() -> None:
    with buffers.frugal(), buffers.block(SIZE):
        buffers.allocate(SIZE)
    for _ in range(2):
        with buffers.block(SIZE):
            before = pa.total_allocated_bytes()
            piece = buffers.allocate(SIZE)
            assert pa.total_allocated_bytes() - before >= SIZE
            del piece


@pytest.mark.usefixtures("run")
def test_counts_outlive_the_bytes_they_were_read_from(tmp_path: Path) -> None:
    for day, seed in ((date(2021, 3, 1), 1), (date(2021, 3, 2), 2)):
        write_sample(tmp_path / str(seed), days=1, start=day, events_per_day=500, seed=seed)

    def count(seed: int) -> dict[str, pa.Table]:
        place = Location.at(str(tmp_path / str(seed)))
        counted = count_block(
            place, list(parts_of(list_day_files(place), SIZE)), CountRules(), RunPolicy()
        )
        return {grain: table(counts) for grain, counts in counted.counts.items()}

    first = count(1)
    shown = str(first["hour"].to_pylist())
    assert count(2)["hour"] != first["hour"]
    assert str(first["hour"].to_pylist()) == shown
    assert count(1)["hour"].equals(first["hour"])
