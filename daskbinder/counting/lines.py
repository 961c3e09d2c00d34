"""Lines of day files, each split into its timestamp and the rest, which repeats.

The rest is called a frame: the line with a probe in place of its timestamp. Each distinct frame and
timestamp is kept once, so what reads them sees few. `LineSplitter` is plain Python;
`daskbinder.counting.compiled_lines` does the same for large archives, five times as fast.

The position of a timestamp is a guess: a wrong one only costs time.
"""

import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from daskbinder.counting.codes import Ints
from daskbinder.counting.pieces import slices

TIMESTAMP_PROBE = secrets.token_hex(16).encode()
"""Replaces the timestamp in a frame. It is random, so no file can contain it."""

_SAMPLES = 32
_LOOK = 4096
_PIECE = 1 << 16
_NONE = np.empty(0, np.int32)
_TIMESTAMP = re.compile(rb'"timestamp"\s*:\s*"(?=([^"\\]+)")')


class Split(NamedTuple):
    """Lines, as pairs of a frame and a timestamp.

    Attributes
    ----------
    frame, stamp : ndarray of int32, shape (lines,)
        For each line, the index of its frame and of its timestamp.
    frames, stamps : pyarrow.BinaryArray or pyarrow.LargeBinaryArray
        The distinct frames and timestamps, each used by some line. A line in which no timestamp was
        found has an empty one. A frame may keep its line end.
    """

    frame: Ints
    stamp: Ints
    frames: pa.Array
    stamps: pa.Array

    def line(self, row: int) -> bytes:
        """Put a line together again, without its line end."""
        frame: bytes = self.frames[int(self.frame[row])].as_py()
        stamp: bytes = self.stamps[int(self.stamp[row])].as_py()
        return frame.replace(TIMESTAMP_PROBE, stamp, 1).removesuffix(b"\n")


class Layout(NamedTuple):
    """Where the timestamp value, `length` bytes long, is in a line.

    It begins `distance` bytes from the start of the line or from its end, before the line end, or
    directly after `key`.
    """

    anchor: Literal["start", "end", "key"]
    distance: int
    key: bytes
    length: int

    def fits(self, data: bytes | memoryview) -> bool:
        """Whether the first line of some data is laid out like this."""
        line = next(_sample(data, 1), b"") + b"\n"
        match = _TIMESTAMP.search(line)
        return match is not None and self.timestamps([line]) == [match[1]]

    def timestamps(self, lines: Sequence[bytes]) -> list[bytes]:
        """Cut the timestamp out of each line, all with line ends; empty where there is none."""
        length = self.length
        if self.anchor == "key":
            begins = (line.find(self.key) for line in lines)
            starts = (at + len(self.key) if at >= 0 else 0 for at in begins)
            return [line[at : at + length] for line, at in zip(lines, starts, strict=True)]
        start = self.distance if self.anchor == "start" else -self.distance - 1
        where = slice(start, start + length)
        return [line[where] for line in lines]


NOWHERE = Layout("start", 0, b"", 0)
"""The layout of lines without a timestamp."""


def locate_timestamp(data: bytes | memoryview, usual: Layout) -> Layout:
    """Guess the layout of lines: the usual one if it fits the first, else that of a sample."""
    if usual.fits(data):
        return usual
    matches = [match for line in _sample(data, _SAMPLES) if (match := _TIMESTAMP.search(line))]
    if not matches:
        return NOWHERE

    def most(read: Callable[[re.Match[bytes]], Any]) -> tuple[Any, int]:
        return Counter(map(read, matches)).most_common(1)[0]

    start, from_start = most(lambda match: match.end())
    end, from_end = most(lambda match: len(match.string) - match.end())
    key, _ = most(lambda match: match[0])
    length, _ = most(lambda match: len(match[1]))
    if 2 * max(from_start, from_end) <= len(matches):
        return Layout("key", 0, key, length)
    if from_start >= from_end:
        return Layout("start", start, key, length)
    return Layout("end", end, key, length)


def _sample(data: bytes | memoryview, lines: int) -> Iterator[bytes]:
    """About so many lines from all over the data: those that follow evenly spaced bytes."""
    for at in range(0, len(data), max(len(data) // lines, 1)):
        piece = bytes(data[at : at + _LOOK])
        start = piece.find(b"\n") + 1 if at else 0
        stop = piece.find(b"\n", start)
        yield piece[start : stop if stop >= 0 else None]


class LineSplitter:
    """Splits lines in plain Python."""

    def __init__(self) -> None:
        self._frames, self._stamps = _Numbers(), _Numbers()
        self._codes: list[tuple[Ints, Ints]] = []
        self._layout = NOWHERE
        self.nbytes = 0
        """Bytes held, at most."""

    def add(self, data: bytes | memoryview) -> int:
        """Split lines, of which only the last may have no line end; return how many there are."""
        self._layout = locate_timestamp(data, self._layout)
        stream, total = BytesIO(data), 0
        while lines := stream.readlines(_PIECE):
            stamps = self._layout.timestamps(lines)
            frames = [
                line.replace(stamp, TIMESTAMP_PROBE, 1)
                for line, stamp in zip(lines, stamps, strict=True)
            ]
            self._codes.append((self._frames.of(frames), self._stamps.of(stamps)))
            total += len(lines)
        self.nbytes += len(data) + 8 * total
        return total

    def split(self) -> Split:
        """Return all lines added."""
        frame, stamp = (
            np.concatenate([codes[part] for codes in self._codes] or [_NONE]) for part in (0, 1)
        )
        return Split(frame, stamp, self._frames.texts(), self._stamps.texts())


class _Numbers(dict[bytes, int]):
    """Numbers texts from 0 on, as they come."""

    def __missing__(self, text: bytes) -> int:
        number = self[text] = len(self)
        return number

    def of(self, texts: Sequence[bytes]) -> Ints:
        """Number of each text."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, len(texts))

    def texts(self) -> pa.Array:
        """Return the texts, by number."""
        return slices(b"".join(self), np.cumsum([0, *map(len, self)]))
