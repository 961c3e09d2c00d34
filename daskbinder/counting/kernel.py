"""The counting kernel: from lines of day files to launches, without parsing each line.

Most lines of a day repeat apart from their timestamp. `daskbinder.counting.lines` cuts the
timestamps out, `daskbinder.counting.templates` reads the distinct rest, and codes map each line to
its result. Lines left undecided are read by `daskbinder.counting.scan`.

A faster kernel would replace this module: `decide` is all that others call.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct_rows
from daskbinder.counting.lines import bounds_of, locate_timestamps, split_at_timestamps, split_lines
from daskbinder.counting.templates import TIMESTAMP_PROBE, launch_table, read_frames
from daskbinder.model.launch import DAY, TIMESTAMP, read_timestamp

_USUAL_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$"
_INVALID = np.iinfo(np.int64).min


class Decided(NamedTuple):
    """The lines of some bodies, in order, and the launches they stand for.

    `time` and `launch` are new arrays, which the caller may change.

    Attributes
    ----------
    bounds : list of ndarray of int32 or int64, shape (lines of the body + 1,)
        For each body, where in its bytes lines start and stop. Lines keep their line ends, and the
        last one may have none.
    times : ndarray of int64, shape (times,)
        Timestamps in microseconds from 1970-01-01 UTC, in any order; some may be used by no line.
    time : ndarray of intp, shape (lines,)
        Index in `times` of each line; meaningless where `launch` is -1.
    launch : ndarray of int64, shape (lines,)
        Row of `launches` of each line, -1 where the line is blank, rejected or undecided.
    launches : pyarrow.Table
        Launches with `daskbinder.model.launch.COLUMNS`, a chunk a column, text as
        ``dictionary<int32, string>``. Rows may repeat, and some may be used by no line.
    """

    bounds: list[Ints]
    times: npt.NDArray[np.int64]
    time: Ints
    launch: Ints
    launches: pa.Table


def decide(
    bodies: Sequence[bytes | memoryview], days: Sequence[int], versions: frozenset[int]
) -> Decided:
    """Find the launches of as many lines as a fast path can.

    Parameters
    ----------
    bodies : sequence of bytes or memoryview
        UTF-8 in whole lines; anything else is left undecided.
    days : sequence of int
        Date of each body's file, in days from 1970-01-01. Lines of dates more than a day away are
        left undecided.
    versions : frozenset of int
        The schema versions that are accepted; lines of others are left undecided.
    """
    lines = [split_lines(data) for data in bodies]
    bounds = [bounds_of(part) for part in lines]
    sizes = [len(part) for part in lines]
    layout = locate_timestamps(lines)
    if layout is None:
        time, launch = np.zeros(sum(sizes), np.intp), np.full(sum(sizes), -1)
        return Decided(bounds, np.empty(0, np.int64), time, launch, launch_table([]))

    before, timestamp, after = split_at_timestamps(lines, layout)
    times = _read_timestamps(timestamp.values)
    (lefts, rights), frame = distinct_rows([before.code, after.code])
    frames = pc.binary_join_element_wise(
        before.values.take(pa.array(lefts)),
        TIMESTAMP_PROBE,
        after.values.take(pa.array(rights)),
        b"",
    )
    row, launches = read_frames(frames, versions)
    launch = row.take(frame)
    date = (times // DAY).astype(np.int32).take(timestamp.code)
    launch[np.abs(date - np.repeat(np.array(days, np.int32), sizes)) > 1] = -1
    return Decided(bounds, times, timestamp.code, launch, launches)


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
