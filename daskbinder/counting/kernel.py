"""The counting kernel: from lines of day files to launches, without parsing each line.

Most lines of a day repeat apart from their timestamp. `daskbinder.counting.lines` splits them there
(for large archives `daskbinder.counting.compiled_lines`), `daskbinder.counting.templates` reads the
distinct rest, and each line gets the result of its parts. Lines left undecided are read by
`daskbinder.counting.scan`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints
from daskbinder.counting.lines import LineSplitter, Split
from daskbinder.counting.templates import read_frames
from daskbinder.model.launch import DAY, TIMESTAMP, read_timestamp

LOADED_FROM = 16 << 20
"""Bytes of day files from which on it pays to load compiled code, which takes 25 ms."""

COMPILED_FROM = 128 << 20
"""Bytes of day files from which on it pays to compile it first, which takes 4 seconds."""

_USUAL_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$"
_INVALID = np.iinfo(np.int64).min


class Splitter(Protocol):
    """Splits lines into frames and timestamps."""

    @property
    def nbytes(self) -> int:
        """Bytes held, approximately."""

    def add(self, data: bytes | memoryview) -> int:
        """Split lines, of which only the last may have no line end; return how many there are."""

    def split(self) -> Split:
        """Return all lines added."""


class Decided(NamedTuple):
    """The launches that lines stand for.

    `time` and `launch` are new arrays, which the caller may change.

    Attributes
    ----------
    times : ndarray of int64, shape (times,)
        Timestamps in microseconds from 1970-01-01 UTC, in any order; some may be used by no line.
    time : ndarray of int32, shape (lines,)
        Index in `times` of each line; meaningless where `launch` is -1.
    launch : ndarray of int64, shape (lines,)
        Row of `launches` of each line, -1 where the line is blank, rejected or undecided.
    launches : pyarrow.Table
        Launches with `daskbinder.model.launch.COLUMNS`, a chunk a column, text as
        ``dictionary<int32, string>``. Rows may repeat, and some may be used by no line.
    """

    times: npt.NDArray[np.int64]
    time: Ints
    launch: Ints
    launches: pa.Table


def load_compiled(size: int, tell: Callable[[str], None]) -> bool:
    """Load the compiled code into this process if so many bytes of day files are worth it.

    Returns whether it is there: without numba it is not. `tell` gets a sentence if it has to be
    compiled, which takes a few seconds.
    """
    if size < LOADED_FROM:
        return False
    from daskbinder.counting import machine_code

    return machine_code.load(tell, compiling=size >= COMPILED_FROM)


def make_splitter(*, compiled: bool) -> Splitter:
    """Make a splitter: of compiled code, or in plain Python."""
    if compiled:
        from daskbinder.counting.compiled_lines import CompiledSplitter

        return CompiledSplitter()
    return LineSplitter()


def decide(
    split: Split, sizes: Sequence[int], days: Sequence[int], versions: frozenset[int]
) -> Decided:
    """Find the launches of as many lines as a fast path can.

    Parameters
    ----------
    split : Split
        The lines of some bodies, in order.
    sizes : sequence of int
        Lines of each body.
    days : sequence of int
        Date of each body's file, in days from 1970-01-01. Lines of dates more than a day away are
        left undecided.
    versions : frozenset of int
        The schema versions that are accepted; lines of others are left undecided.
    """
    times = _read_timestamps(split.stamps)
    row, launches = read_frames(split.frames, versions)
    launch = row.take(split.frame)
    date = (times // DAY).astype(np.int32).take(split.stamp)
    launch[np.abs(date - np.repeat(np.array(days, np.int32), sizes)) > 1] = -1
    return Decided(times, split.stamp.copy(), launch, launches)


def _read_timestamps(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Microseconds of each timestamp, or a number far from any day where it is invalid."""
    usual = pc.match_substring_regex(texts, _USUAL_TIMESTAMP)
    try:
        read = pc.if_else(usual, texts, None).cast(pa.string()).cast(TIMESTAMP)
    except pa.ArrowInvalid:
        read = pa.nulls(len(texts), TIMESTAMP)
    times = read.cast(pa.int64()).fill_null(_INVALID).to_numpy().copy()
    for index in np.flatnonzero(times == _INVALID):
        time = read_timestamp(texts[index].as_py().decode(errors="replace"))
        if time is not None:
            times[index] = time
    return times
