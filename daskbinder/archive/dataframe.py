"""Launches of day files as pandas DataFrames: the partitions of `Archive.events`."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.losses import refuse_losses
from daskbinder.archive.reading import Part, read_part
from daskbinder.counting.scan import Body, scan
from daskbinder.model.dates import day_number
from daskbinder.model.launch import COLUMNS, TIMESTAMP
from daskbinder.storage.location import Location

_PIECE = 64 << 20

_TEXT = pd.StringDtype("pyarrow", na_value=pd.NA)
_DTYPES = {
    name: {pa.int64(): "int64", pa.bool_(): "boolean"}.get(
        column.type, "category" if column.repeats else _TEXT
    )
    for name, column in COLUMNS.items()
}

META = pd.DataFrame(
    {name: pd.Series(dtype=dtype) for name, dtype in _DTYPES.items()},
    index=pd.DatetimeIndex([], dtype="datetime64[us, UTC]", name="timestamp"),
)
"""A frame of launches without rows."""


def read_day(location: Location, file: DayFile) -> pd.DataFrame:
    """Read the launches of a day file, sorted by time; some may be of adjacent days.

    Raises
    ------
    LostFiles
        When the file cannot be read, or has no launch in it.
    """
    frames, tallies = [], []
    whole = Part(file, 0, file.size)
    for data in read_part(location, whole, _PIECE):
        read = scan([Body(file.name, day_number(file.date), data)])
        tallies += [(whole, tally) for tally in read.tallies]
        table = read.launches.take(pa.array(read.launch))
        columns = {
            name: table[name].cast(pa.string()) if dtype is _TEXT else table[name]
            for name, dtype in _DTYPES.items()
        }
        frame = pa.table(columns).to_pandas(types_mapper={pa.string(): _TEXT}.get)
        times = pa.array(read.times[read.time], TIMESTAMP).to_pandas()
        frame.index = pd.DatetimeIndex(times, name="timestamp")
        frames.append(frame.astype({"build_token": "boolean"}))
    refuse_losses([tallies])
    return _joined(frames)


def between(frames: Sequence[pd.DataFrame], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Rows from `start` up to but not including `end`, sorted by time."""
    rows = [frame[(frame.index >= start) & (frame.index < end)] for frame in frames]
    rows = [frame for frame in rows if len(frame)] or [frames[0].iloc[:0]]
    return rows[0] if len(rows) == 1 else _joined(rows)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames).sort_index(kind="stable").astype(_DTYPES)
