"""Memory of a counting process: Arrow's pool, and the buffers that day files are read into."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.storage.backend import Allocate

POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Environment variable that selects Arrow's memory pool; a user's choice is respected."""

_runs: list[None] = []  # active in this process
_free: list[npt.NDArray[np.uint8]] = []


def has_jemalloc() -> bool:
    """Whether Arrow can use jemalloc, and the user did not choose another pool."""
    return "jemalloc" in pa.supported_memory_backends() and POOL not in os.environ


@contextmanager
def frugal() -> Iterator[None]:
    """Reuse memory in this process during a run.

    Arrow uses jemalloc if available: a run of 1,300 days then peaks at 480 MB instead of 560.
    Buffers are reused across files: otherwise the kernel zeroes their pages for each file, and what
    is read does not stay in the processor's cache until it is counted.
    """
    before = pa.default_memory_pool()
    if has_jemalloc():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    _runs.append(None)
    try:
        yield
    finally:
        _runs.pop()
        release()
        pa.set_memory_pool(before)


@contextmanager
def read_buffer() -> Iterator[Allocate]:
    """Lend a buffer, as a function that hands out the same memory each time.

    So nothing may refer to a piece once the next one is asked for. Elsewhere than in a `frugal` run
    every piece is newly allocated: a worker that is not ours should not hold on to memory.
    """
    if not _runs:
        yield allocate_new
        return
    try:
        buffer = _free.pop()
    except IndexError:
        buffer = np.empty(0, np.uint8)

    def allocate(size: int) -> memoryview:
        nonlocal buffer
        if size > len(buffer):
            buffer = np.empty(size + size // 4, np.uint8)
        return buffer.data[:size]

    yield allocate
    if _runs:
        _free.append(buffer)


def allocate_new(size: int) -> memoryview:
    """Allocate `size` bytes."""
    return memoryview(pa.allocate_buffer(size)).cast("B")


def release() -> None:
    """Free the buffers that nobody uses."""
    _free.clear()
