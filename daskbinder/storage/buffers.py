"""Memory of a process that counts: whose Arrow takes, and what day files are read into."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa

POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Where Arrow is told whose memory to use; what the user says there stands."""

_MARGIN = 1 << 20
"""Bytes beyond the size of a block: each file is read as if it had one more."""


class _Mine(threading.local):
    """What is left of the buffer that this thread reads its block into."""

    rest = memoryview(b"")


_mine = _Mine()
_runs: list[None] = []  # those in this process now
_kept: list[npt.NDArray[np.uint8]] = []
_NOTHING = np.empty(0, np.uint8)


def has_jemalloc() -> bool:
    """Whether Arrow can take memory from jemalloc, and may."""
    return "jemalloc" in pa.supported_memory_backends() and POOL not in os.environ


@contextmanager
def frugal() -> Iterator[None]:
    """Have this process use memory again, not ask for it anew, for the time of a run in it.

    Arrow takes it from jemalloc, where it has it: in a run of 1,300 days the peak was 480 MB then,
    and 560 without. The buffers of `block` are kept: the kernel would clear their pages for each
    block again, which took a twentieth of the time.
    """
    before = pa.default_memory_pool()
    if has_jemalloc():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    _runs.append(None)
    try:
        yield
    finally:
        _runs.pop()
        let_go()
        pa.set_memory_pool(before)


@contextmanager
def block(size: int) -> Iterator[None]:
    """Have `allocate` cut what it gives this thread from one buffer of `size` bytes.

    While a run is `frugal`, the buffer is kept for the next block, unless something still holds a
    piece of it. Elsewhere there is no such buffer: it would stay with a worker that is not ours.
    """
    if not _runs:
        yield
        return
    try:
        buffer = _kept.pop()
    except IndexError:
        buffer = _NOTHING
    if len(buffer) < size:
        buffer = np.empty(size + _MARGIN, np.uint8)
    alone = sys.getrefcount(buffer)
    _mine.rest = buffer.data
    try:
        yield
    finally:
        _mine.rest = memoryview(b"")
        if _runs and sys.getrefcount(buffer) <= alone:
            _kept.append(buffer)


def allocate(size: int) -> memoryview:
    """Give memory for so many bytes, of the block of this thread if there is room in it."""
    if size > len(_mine.rest):
        return memoryview(pa.allocate_buffer(size)).cast("B")
    piece, _mine.rest = _mine.rest[:size], _mine.rest[size:]
    return piece


def let_go() -> None:
    """Give back the buffers that no block uses."""
    _kept.clear()
