"""Lines of day files, split around their timestamps into pieces that repeat.

Lines are slices of the bytes that were read, never copies. Pieces are hashed, so that each distinct
one is read only once. The position of a timestamp is a guess: a wrong one only costs time.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct

_SAMPLES = 32
_CHUNK = 1 << 20
_TIMESTAMP = re.compile(rb'"timestamp"\s*:\s*"(?=([^"\\]+)")')


def split_lines(data: bytes | memoryview) -> pa.Array:
    """Split bytes into lines, which keep their line ends.

    Line ends are searched eight bytes at a time, as few such words contain one.
    """
    buffer = np.frombuffer(data, np.uint8)
    is_end = np.zeros(_CHUNK, np.bool_)
    eights = is_end.view(np.uint64)
    has_end = np.empty(len(eights), np.bool_)
    bounds = [np.zeros(1, np.intp)]
    for at in range(0, len(buffer), _CHUNK):
        chunk = buffer[at : at + _CHUNK]
        np.equal(chunk, ord("\n"), out=is_end[: len(chunk)])
        is_end[len(chunk) :] = False
        hits = np.flatnonzero(np.not_equal(eights, 0, out=has_end))
        byte = np.flatnonzero(eights.take(hits).view(np.bool_))
        bounds.append(hits.take(byte >> 3) * 8 + (byte & 7) + (at + 1))
    if len(buffer) and buffer[-1] != ord("\n"):
        bounds.append(np.array([len(buffer)]))
    return _slices(data, np.concatenate(bounds))


def _slices(data: bytes | memoryview | pa.Buffer, bounds: Ints) -> pa.Array:
    """Binary array of adjacent slices of `data`; `bounds` has one entry more than slices."""
    large = int(bounds[-1]) > np.iinfo(np.int32).max
    dtype, width = (pa.large_binary(), np.int64) if large else (pa.binary(), np.int32)
    offsets = pa.py_buffer(np.ascontiguousarray(bounds, width))
    return pa.Array.from_buffers(dtype, len(bounds) - 1, [None, offsets, pa.py_buffer(data)])


def bounds_of(array: pa.Array) -> Ints:
    """Bounds of the values of a binary array in its data buffer: one more than values."""
    width = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    offsets = np.frombuffer(array.buffers()[1], width)
    return offsets[array.offset : array.offset + len(array) + 1]


def cut(lines: pa.Array, *positions: Ints) -> pa.Array:
    """Cut each line at positions in its data buffer: all pieces of the first line, then the next.

    Positions outside a line are moved to its nearer end.
    """
    bounds, width = bounds_of(lines), len(positions) + 1
    cuts = np.empty(width * len(lines) + 1, bounds.dtype)
    cuts[::width] = bounds
    for column, position in enumerate(positions, 1):
        cuts[column::width] = np.clip(position, bounds[:-1], bounds[1:])
    return _slices(lines.buffers()[2] or b"", cuts)


class Pieces(NamedTuple):
    """A column of pieces: `code` has the index in `values`, a binary array, of each row's piece.

    Some values may be equal, or belong to other columns.
    """

    values: pa.Array
    code: Ints

    def used(self) -> "Pieces":
        """Drop the values that no row has."""
        used, code = distinct(self.code)
        return Pieces(self.values.take(pa.array(used)), code)

    def split(self, position: Ints) -> tuple["Pieces", "Pieces"]:
        """Cut each value at a position in its data buffer."""
        halves = cut(self.values, position)
        first, second = (halves.take(pa.array(np.arange(i, len(halves), 2))) for i in (0, 1))
        return Pieces(first, self.code), Pieces(second, self.code)

    def hashed(self) -> "Pieces":
        """Join equal values."""
        encoded = self.values.dictionary_encode()
        return Pieces(encoded.dictionary, encoded.indices.to_numpy().take(self.code))


def hash_pieces(pieces: Iterable[pa.Array], columns: int) -> list[Pieces]:
    """Hash the pieces that `cut` made of lines; the columns share their values."""
    encoded = pa.chunked_array(pieces).dictionary_encode().combine_chunks()
    codes = encoded.indices.to_numpy().reshape(-1, columns)
    return [Pieces(encoded.dictionary, code) for code in codes.T]


class Layout(NamedTuple):
    """Where the timestamp value, `length` bytes long, is in a line.

    It begins `distance` bytes from the start or the end of the line, or directly after `key`.
    """

    anchor: Literal["start", "end", "key"]
    distance: int
    key: bytes
    length: int

    def positions(self, lines: pa.Array) -> tuple[Ints, Ints]:
        """Where in the data buffer each timestamp starts and stops; anywhere if it has none."""
        bounds = bounds_of(lines)
        if self.anchor == "start":
            start = bounds[:-1] + self.distance
        elif self.anchor == "end":
            start = bounds[1:] - self.distance
        else:
            key = pc.find_substring(lines, self.key).to_numpy(zero_copy_only=False)
            start = bounds[:-1] + np.where(key < 0, 0, key + len(self.key)).astype(np.int64)
        return start, start + self.length


def locate_timestamps(lines: Sequence[pa.Array]) -> Layout | None:
    """Guess the layout from a sample of lines; None if none of them gives a hint."""
    matches = [match for line in _sample(lines) if (match := _TIMESTAMP.search(line))]
    if not matches:
        return None

    def usual(read: Callable[[re.Match[bytes]], Any]) -> tuple[Any, int]:
        return Counter(map(read, matches)).most_common(1)[0]

    start, from_start = usual(lambda match: match.end())
    end, from_end = usual(lambda match: len(match.string) - match.end())
    key, _ = usual(lambda match: match[0])
    length, _ = usual(lambda match: len(match[1]))
    if 2 * max(from_start, from_end) <= len(matches):
        return Layout("key", 0, key, length)
    if from_start >= from_end:
        return Layout("start", start, key, length)
    return Layout("end", end, key, length)


def _sample(lines: Sequence[pa.Array]) -> Iterator[bytes]:
    ends = np.cumsum([len(part) for part in lines])
    total = int(ends[-1]) if len(ends) else 0
    for index in np.unique(np.linspace(0, max(total - 1, 0), _SAMPLES).astype(int))[:total]:
        part = int(np.searchsorted(ends, index, "right"))
        yield lines[part][index - ends[part]].as_py()


def split_at_timestamps(lines: Sequence[pa.Array], layout: Layout) -> tuple[Pieces, Pieces, Pieces]:
    """Split lines into the piece before the timestamp, the timestamp, and the piece after.

    A timestamp near an end of its line is hashed together with everything up to that end. Only the
    distinct results are split again.
    """
    if layout.anchor == "key":
        pieces = [cut(part, *layout.positions(part)) for part in lines]
        before, timestamp, after = hash_pieces(pieces, 3)
        return before, timestamp.used(), after
    if layout.anchor == "start":
        head, after = hash_pieces([cut(part, layout.positions(part)[1]) for part in lines], 2)
        head = head.used()
        before, timestamp = head.split(layout.positions(head.values)[0])
        return before.hashed(), timestamp, after
    before, tail = hash_pieces([cut(part, layout.positions(part)[0]) for part in lines], 2)
    tail = tail.used()
    timestamp, after = tail.split(layout.positions(tail.values)[1])
    return before, timestamp, after.hashed()
