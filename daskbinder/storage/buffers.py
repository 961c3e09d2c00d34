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

_MARGIN = 1 << 20
"""Bytes beyond the size of a block: one byte more than listed is read of each file."""

_runs: list[None] = []  # active in this process
_free: list[npt.NDArray[np.uint8]] = []


def has_jemalloc() -> bool:
    """Whether Arrow can use jemalloc, and the user did not choose another pool."""
    return "jemalloc" in pa.supported_memory_backends() and POOL not in os.environ


@contextmanager
def frugal() -> Iterator[None]:
    """Reuse memory in this process during a run.

    Arrow uses jemalloc if available: a run of 1,300 days then peaks at 480 MB instead of 560.
    Buffers are reused across blocks: otherwise the kernel zeroes their pages for each block, which
    takes a twentieth of the time.
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
def block_buffer(size: int) -> Iterator[Allocate]:
    """Lend a buffer of `size` bytes, as a function that hands out consecutive pieces.

    During a `frugal` run the next block reuses the buffer, so nothing may refer to a piece once the
    block is done. Elsewhere every piece is newly allocated: a worker that is not ours should not
    hold on to memory.
    """
    if not _runs:
        yield allocate_new
        return
    try:
        buffer = _free.pop()
    except IndexError:
        buffer = np.empty(0, np.uint8)
    if len(buffer) < size:
        buffer = np.empty(size + _MARGIN, np.uint8)
    rest = buffer.data

    def allocate(size: int) -> memoryview:
        nonlocal rest
        if size > len(rest):
            return allocate_new(size)
        piece, rest = rest[:size], rest[size:]
        return piece

    yield allocate
    if _runs:
        _free.append(buffer)


def allocate_new(size: int) -> memoryview:
    """Allocate `size` bytes."""
    return memoryview(pa.allocate_buffer(size)).cast("B")


def release() -> None:
    """Free the buffers that no block uses."""
    _free.clear()
