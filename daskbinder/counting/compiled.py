"""Lines split by compiled code, which holds no lock: for large archives.

`CompiledSplitter` does what `daskbinder.counting.lines.LineSplitter` does. It reads each byte once,
allocates nothing for a line, and trusts no hash: a text that is looked up is compared byte by byte.

Bytes are read through their address, eight or sixty-four at a time, wherever they lie. Importing
this module imports numba, and the first call compiles, or loads what was compiled before.
"""

import secrets
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from daskbinder.counting.lines import NOWHERE, TIMESTAMP_PROBE, Split, locate_timestamp

_ANCHORS = {"start": 0, "end": 1, "key": 2}
_PROBE = np.frombuffer(TIMESTAMP_PROBE, np.uint8)
_NEWLINES = np.full(64, ord("\n"), np.uint8)
_SALT = np.array([secrets.randbits(63) for _ in range(4)], np.uint64)
"""Keeps anybody from making up lines that all have the same hash."""

_TEXTS = 1 << 12
_TEXT_BYTES = 1 << 18
_LINES = 1 << 16

_BYTE, _WORD, _DOUBLE = (ir.IntType(bits) for bits in (8, 64, 128))
_BLOCK = ir.VectorType(_BYTE, 64)


class Texts(NamedTuple):
    """A set of texts, which are numbered from 0; all arrays have room to spare.

    Attributes
    ----------
    slots : ndarray of uint64
        A hash table with open addressing, its size a power of two. A slot that is taken holds half
        of the text's hash, and one more than its number.
    ends : ndarray of int64
        Text i lies in `text` from ``ends[i]`` to ``ends[i + 1]``.
    text : ndarray of uint8
        The texts, one after the other.
    hashes : ndarray of uint64
        The hash of each text.
    """

    slots: npt.NDArray[np.uint64]
    ends: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]


def _loader(kind: ir.IntType) -> Any:
    """Make a function that loads an unsigned number from an address."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], kind.as_pointer())
            return builder.zext(builder.load(pointer, align=1), _WORD)

        return types.uint64(types.int64), build

    return load


_byte_at, _word_at = _loader(_BYTE), _loader(_WORD)


@intrinsic  # type: ignore[untyped-decorator]
def _equal_at(context: Any, one: Any, other: Any) -> Any:
    """Tell which of the 64 bytes at two addresses are equal: a bit each, the first the lowest."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        blocks = (builder.load(builder.inttoptr(arg, _BLOCK.as_pointer()), align=1) for arg in args)
        return builder.bitcast(builder.icmp_unsigned("==", *blocks), _WORD)

    return types.uint64(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def _lowest_bit(context: Any, bits: Any) -> Any:
    """Position of the lowest bit that is set; one must be."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic  # type: ignore[untyped-decorator]
def _mix(context: Any, left: Any, right: Any) -> Any:
    """Multiply two words to 128 bits, and fold these into 64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.mul(*(builder.zext(arg, _DOUBLE) for arg in args))
        high = builder.lshr(product, ir.Constant(_DOUBLE, 64))
        return builder.trunc(builder.xor(product, high), _WORD)

    return types.uint64(types.uint64, types.uint64), build


_OPTIONS = {"nogil": True, "boundscheck": False}
_inlined = njit(inline="always", **_OPTIONS)
"""Compiles a function into each that calls it: a call costs as much as what these functions do."""


def _compiled(function: Any) -> Any:
    """Compile a function that holds no lock, and keep the result for later processes if possible.

    numba keeps it beside this file, else in the user's cache folder, else nowhere.
    """
    try:
        kept = njit(cache=True, **_OPTIONS)(function)
        folder = Path(kept.stats.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # numba does not try, for a package in a zip
            return kept
    except (RuntimeError, OSError):
        return njit(**_OPTIONS)(function)


@_inlined  # type: ignore[untyped-decorator]
def _hash(at: int, size: int, seed: np.uint64, salt: Any) -> np.uint64:
    """Hash the bytes at an address; two halves side by side, as a product takes time."""
    stop = at + size
    one = seed ^ np.uint64(size)
    two = salt[3]
    if size >= 32:
        last = stop - 32
        while True:
            one = _mix(_word_at(at) ^ salt[0], _word_at(at + 8) ^ one)
            two = _mix(_word_at(at + 16) ^ salt[1], _word_at(at + 24) ^ two)
            if at == last:
                break
            at = min(at + 32, last)
    elif size >= 8:
        last = stop - 8
        while True:
            one = _mix(_word_at(at) ^ salt[0], one ^ salt[2])
            if at == last:
                break
            at = min(at + 8, last)
    else:
        while at < stop:
            one = _mix(_byte_at(at) ^ salt[0], one ^ salt[2])
            at += 1
    return _mix(one ^ salt[1], two ^ salt[2])


@_inlined  # type: ignore[untyped-decorator]
def _same(one: int, other: int, size: int) -> bool:
    """Whether the bytes at two addresses are the same."""
    at, far = one, other - one
    if size >= 64:
        last = one + size - 64
        while True:
            if _equal_at(at, at + far) != np.uint64(0xFFFFFFFFFFFFFFFF):
                return False
            if at == last:
                return True
            at = min(at + 64, last)
    if size >= 8:
        last = one + size - 8
        while True:
            if _word_at(at) != _word_at(at + far):
                return False
            if at == last:
                return True
            at = min(at + 8, last)
    while at < one + size and _byte_at(at) == _byte_at(at + far):
        at += 1
    return at == one + size


@_inlined  # type: ignore[untyped-decorator]
def _line_end(at: int, stop: int, newlines: int) -> int:
    """Address of the first line end, or `stop`; `newlines` is the address of 64 of them."""
    while at + 64 <= stop:
        ends = _equal_at(at, newlines)
        if ends != 0:
            return at + _lowest_bit(ends)
        at += 64
    while at < stop and _byte_at(at) != 10:
        at += 1
    return at


@_inlined  # type: ignore[untyped-decorator]
def _timestamp(at: int, stop: int, anchor: int, distance: int, key: Any) -> int:
    """Address at which the timestamp of a line begins, if it has one."""
    if anchor == 0:
        return at + distance
    if anchor == 1:
        return stop - distance
    while at + len(key) <= stop:
        if _same(at, np.int64(key.ctypes.data), len(key)):
            return at + len(key)
        at += 1
    return stop + 1


@_inlined  # type: ignore[untyped-decorator]
def _number(
    slots: Any, ends: Any, text: Any, hashes: Any, base: int, used: int, hashed: Any, pieces: Any
) -> Any:
    """Find the number of a text, given as three pieces; add it as number `used` if it is new.

    The arrays are those of `Texts`, and `base` is the address of `text`. Returns -1 if there is no
    room left.
    """
    one, one_size, two, two_size, three, three_size = pieces
    size = one_size + two_size + three_size
    mask = len(slots) - 1
    slot = np.int64(hashed & np.uint64(mask))
    while slots[slot] != 0:
        if slots[slot] >> np.uint64(32) == hashed >> np.uint64(32):
            number = np.int64(slots[slot] & np.uint64(0xFFFFFFFF)) - 1
            start = base + ends[number]
            if (
                ends[number + 1] - ends[number] == size
                and _same(three, start + one_size + two_size, three_size)
                and _same(one, start, one_size)
                and _same(two, start + one_size, two_size)
            ):
                return number
        slot = (slot + 1) & mask
    end = ends[used]
    if used == len(hashes) or end + size > len(text):
        return -1
    for piece, of_piece in ((one, one_size), (two, two_size), (three, three_size)):
        for i in range(of_piece):
            text[end + i] = _byte_at(piece + i)
        end += of_piece
    ends[used + 1] = end
    hashes[used] = hashed
    slots[slot] = hashed >> np.uint64(32) << np.uint64(32) | np.uint64(used + 1)
    return used


@_compiled
def _place(slots: Any, hashes: Any) -> None:
    """Fill an empty hash table."""
    mask = len(slots) - 1
    for number in range(len(hashes)):
        slot = np.int64(hashes[number] & np.uint64(mask))
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = hashes[number] >> np.uint64(32) << np.uint64(32) | np.uint64(number + 1)


@_compiled
def _split(
    data: tuple[int, int],
    layout: tuple[int, int, int],
    key: Any,
    used: Any,
    frames: Texts,
    stamps: Texts,
    codes: tuple[Any, Any],
    constants: tuple[Any, Any, Any],
) -> int:
    """Split lines until all are done or something has no room left; say what: 1 to 3, or 0.

    `used` has the bytes done, the lines, the frames and the timestamps, and is updated.
    """
    (address, size), (anchor, distance, length), (probe, newlines, salt) = data, layout, constants
    (f_slots, f_ends, f_text, f_hashes), (s_slots, s_ends, s_text, s_hashes) = frames, stamps
    frame_of, stamp_of = codes
    frames_at, stamps_at = np.int64(f_text.ctypes.data), np.int64(s_text.ctypes.data)
    probe_at, newlines_at = np.int64(probe.ctypes.data), np.int64(newlines.ctypes.data)
    at, stop = address + used[0], address + size
    line, n_frames, n_stamps = used[1], used[2], used[3]
    last, last_stamp, last_size = at, -1, 0
    full = 0
    while at < stop and not full:
        end = _line_end(at, stop, newlines_at)
        start = _timestamp(at, end, anchor, distance, key)
        after = start + length
        if start < at or after > end:  # none: an empty one, at the start of the line
            start = after = at
        # lines are sorted by time, so most have the timestamp of the line before
        if last_stamp >= 0 and after - start == last_size and _same(start, last, last_size):
            stamp = last_stamp
        else:
            hashed = _hash(start, after - start, salt[2], salt)
            pieces = (start, after - start, at, 0, at, 0)
            stamp = _number(s_slots, s_ends, s_text, s_hashes, stamps_at, n_stamps, hashed, pieces)
            n_stamps = max(n_stamps, stamp + 1)
            last, last_stamp, last_size = start, stamp, after - start
        hashed = _hash(after, end - after, _hash(at, start - at, salt[3], salt), salt)
        pieces = (at, start - at, probe_at, len(probe), after, end - after)
        frame = _number(f_slots, f_ends, f_text, f_hashes, frames_at, n_frames, hashed, pieces)
        n_frames = max(n_frames, frame + 1)
        full = 1 if line == len(frame_of) else 2 if frame < 0 else 3 if stamp < 0 else 0
        if not full:
            frame_of[line], stamp_of[line] = frame, stamp
            line += 1
            at = end + 1
    used[:] = min(at, stop) - address, line, n_frames, n_stamps
    return full


class CompiledSplitter:
    """Splits lines by compiled code."""

    def __init__(self) -> None:
        self._frames, self._stamps = _texts(), _texts()
        self._frame, self._stamp = (np.empty(_LINES, np.int32) for _ in range(2))
        self._used = np.zeros(4, np.int64)
        self._layout = NOWHERE

    @property
    def nbytes(self) -> int:
        """Bytes held, approximately."""
        _, lines, frames, stamps = self._used.tolist()
        return int(8 * lines + self._frames.ends[frames] + self._stamps.ends[stamps])

    def add(self, data: bytes | memoryview) -> int:
        """Split lines, of which only the last may have no line end; return how many there are."""
        lines = np.frombuffer(data, np.uint8)
        layout = self._layout = locate_timestamp(data, self._layout)
        where = _ANCHORS[layout.anchor], layout.distance, layout.length
        key = np.frombuffer(bytearray(layout.key), np.uint8)
        before = int(self._used[1])
        self._used[0] = 0
        while full := _split(
            (lines.ctypes.data, len(lines)),
            where,
            key,
            self._used,
            tuple(self._frames),  # a named one is slower to pass
            tuple(self._stamps),
            (self._frame, self._stamp),
            (_PROBE, _NEWLINES, _SALT),
        ):
            self._make_room(full)
        return int(self._used[1]) - before

    def _make_room(self, full: int) -> None:
        _, lines, frames, stamps = self._used.tolist()
        if full == 1:
            self._frame, self._stamp = (_doubled(one, lines) for one in (self._frame, self._stamp))
        elif full == 2:
            self._frames = _grown(self._frames, frames)
        else:
            self._stamps = _grown(self._stamps, stamps)

    def split(self) -> Split:
        """Return all lines added."""
        _, lines, frames, stamps = self._used.tolist()
        codes = self._frame[:lines], self._stamp[:lines]
        return Split(*codes, _array(self._frames, frames), _array(self._stamps, stamps))


def _texts() -> Texts:
    """An empty set of texts."""
    return Texts(
        np.zeros(2 * _TEXTS, np.uint64),
        np.zeros(_TEXTS + 1, np.int64),
        np.empty(_TEXT_BYTES, np.uint8),
        np.empty(_TEXTS, np.uint64),
    )


def _grown(texts: Texts, used: int) -> Texts:
    """Double the room of a set of texts: for more of them, or for their bytes."""
    if used < len(texts.hashes):
        return texts._replace(text=_doubled(texts.text, int(texts.ends[used])))
    hashes = _doubled(texts.hashes, used)
    slots = np.zeros(2 * len(hashes), np.uint64)
    _place(slots, texts.hashes)
    return texts._replace(slots=slots, hashes=hashes, ends=_doubled(texts.ends, used + 1))


def _doubled(array: npt.NDArray[Any], used: int) -> npt.NDArray[Any]:
    """Copy the used part of an array into one that is twice as long."""
    larger = np.empty(2 * len(array), array.dtype)
    larger[:used] = array[:used]
    return larger


def _array(texts: Texts, used: int) -> pa.Array:
    """Give out texts without copying them."""
    ends = texts.ends[: used + 1]
    large = ends[-1] > np.iinfo(np.int32).max
    dtype, width = (pa.large_binary(), np.int64) if large else (pa.binary(), np.int32)
    buffers = [None, pa.py_buffer(ends.astype(width)), pa.py_buffer(texts.text)]
    return pa.Array.from_buffers(dtype, used, buffers)
