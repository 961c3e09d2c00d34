"""The functions that numba compiles: they split lines, and hold no lock.

They read each byte once, allocate nothing for a line, and trust no hash: a text that is looked up
is compared byte by byte. Bytes are read through their address, eight or sixty-four at a time,
wherever they lie.

Importing this module imports numba, and the first call compiles, or loads what was compiled
before. All that is compiled is in this file: numba looks at no other to tell whether what it kept
is old.
"""

from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

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
def _entry(hashed: Any, number: int) -> Any:
    """What the slot of a text holds."""
    return hashed >> np.uint64(32) << np.uint64(32) | np.uint64(number + 1)


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
    slots[slot] = _entry(hashed, used)
    return used


@_compiled
def fill_slots(slots: Any, hashes: Any) -> None:
    """Fill an empty hash table."""
    mask = len(slots) - 1
    for number in range(len(hashes)):
        slot = np.int64(hashes[number] & np.uint64(mask))
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = _entry(hashes[number], number)


@_compiled
def split_lines(
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


def is_loaded() -> bool:
    """Whether this process has the compiled code."""
    return bool(split_lines.signatures)


def is_kept() -> bool:
    """Whether an earlier process seems to have kept the compiled code."""
    try:
        written = Path(__file__).stat().st_mtime
        kept = Path(split_lines.stats.cache_path).glob(
            f"{Path(__file__).stem}.{split_lines.__name__}-*.nbi"
        )
        return any(path.stat().st_mtime >= written for path in kept)
    except (OSError, TypeError):  # in a zip, or not kept at all
        return False
