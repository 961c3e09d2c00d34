"""Texts cut into pieces, each distinct one kept once: slices of bytes in Arrow's memory."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from daskbinder.counting.codes import Ints, distinct


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
    return slices(lines.buffers()[2] or b"", cuts)


def slices(data: bytes | pa.Buffer | Ints, bounds: Ints) -> pa.Array:
    """Make an array of adjacent slices of `data`, not copied; `bounds` has one entry more."""
    large = int(bounds[-1]) > np.iinfo(np.int32).max
    dtype, width = (pa.large_binary(), np.int64) if large else (pa.binary(), np.int32)
    offsets = pa.py_buffer(np.ascontiguousarray(bounds, width))
    return pa.Array.from_buffers(dtype, len(bounds) - 1, [None, offsets, pa.py_buffer(data)])


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


def hash_pieces(pieces: pa.Array, columns: int) -> list[Pieces]:
    """Hash the pieces that `cut` made of lines; the columns share their values."""
    encoded = pieces.dictionary_encode()
    codes = encoded.indices.to_numpy().reshape(-1, columns)
    return [Pieces(encoded.dictionary, code) for code in codes.T]
