"""The kernel that numba compiles: it splits lines, and needs neither Python nor its lock.

It reads each byte once, allocates nothing, and trusts no hash: a text that is looked up is compared
byte by byte. All is read and written through addresses, bytes eight or sixty-four at a time, so the
machine code calls nothing, and `daskbinder.counting.machine_code` can keep it.

Importing this module imports numba.
"""

import re
from collections import namedtuple
from typing import Any

import numpy as np
from llvmlite import ir
from numba import int64, njit, types
from numba.extending import intrinsic

from daskbinder.counting.job import Job, Texts

_BYTE, _HALF, _WORD, _DOUBLE = (ir.IntType(bits) for bits in (8, 32, 64, 128))
_BLOCK = ir.VectorType(_BYTE, 64)


def _offsets(structure: Any) -> Any:
    """Where each field of a structure lies."""
    names = [name for name, _ in structure._fields_]
    offsets = namedtuple(structure.__name__, names)  # type: ignore[misc]
    return offsets(*(getattr(structure, name).offset for name in names))


_JOB, _TEXTS = _offsets(Job), _offsets(Texts)


def _loader(kind: ir.IntType) -> Any:
    """Make a function that loads an unsigned number from an address."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], kind.as_pointer())
            return builder.zext(builder.load(pointer, align=1), _WORD)

        return types.uint64(types.int64), build

    return load


def _storer(kind: ir.IntType) -> Any:
    """Make a function that stores the lower bits of a number at an address."""

    @intrinsic  # type: ignore[untyped-decorator]
    def store(context: Any, address: Any, number: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            bits = builder.trunc(args[1], kind) if kind.width < _WORD.width else args[1]
            builder.store(bits, builder.inttoptr(args[0], kind.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.uint64), build

    return store


_byte_at, _word_at = _loader(_BYTE), _loader(_WORD)
_set_byte, _set_half, _set_word = _storer(_BYTE), _storer(_HALF), _storer(_WORD)


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


_inlined = njit(inline="always", boundscheck=False)
"""Compiles a function into each that calls it: a call costs as much as what these functions do."""


@_inlined  # type: ignore[untyped-decorator]
def _int_at(address: int) -> int:
    return np.int64(_word_at(address))  # type: ignore[return-value]


@_inlined  # type: ignore[untyped-decorator]
def _hash(at: int, size: int, seed: np.uint64, salt: int) -> np.uint64:
    """Hash the bytes at an address; two halves side by side, as a product takes time."""
    s_0, s_1, s_2, s_3 = (
        _word_at(salt),
        _word_at(salt + 8),
        _word_at(salt + 16),
        _word_at(salt + 24),
    )
    stop = at + size
    one = seed ^ np.uint64(size)
    two = s_3
    if size >= 32:
        last = stop - 32
        while True:
            one = _mix(_word_at(at) ^ s_0, _word_at(at + 8) ^ one)
            two = _mix(_word_at(at + 16) ^ s_1, _word_at(at + 24) ^ two)
            if at == last:
                break
            at = min(at + 32, last)
    elif size >= 8:
        last = stop - 8
        while True:
            one = _mix(_word_at(at) ^ s_0, one ^ s_2)
            if at == last:
                break
            at = min(at + 8, last)
    else:
        while at < stop:
            one = _mix(_byte_at(at) ^ s_0, one ^ s_2)
            at += 1
    return _mix(one ^ s_1, two ^ s_2)


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
def _timestamp(at: int, stop: int, job: int) -> int:
    """Address at which the timestamp of a line begins, if it has one."""
    anchor = _int_at(job + _JOB.anchor)
    if anchor == 0:
        return at + _int_at(job + _JOB.distance)
    if anchor == 1:
        return stop - _int_at(job + _JOB.distance)
    key, size = _int_at(job + _JOB.key), _int_at(job + _JOB.key_size)
    while at + size <= stop:
        if _same(at, key, size):
            return at + size
        at += 1
    return stop + 1


@_inlined  # type: ignore[untyped-decorator]
def _entry(hashed: Any, number: int) -> Any:
    """What the slot of a text holds."""
    return hashed >> np.uint64(32) << np.uint64(32) | np.uint64(number + 1)


@_inlined  # type: ignore[untyped-decorator]
def _copy(source: int, size: int, to: int) -> int:
    """Copy bytes to an address; return the address behind them."""
    for i in range(size):
        _set_byte(to + i, _byte_at(source + i))
    return to + size


@_inlined  # type: ignore[untyped-decorator]
def _index(texts: int) -> None:
    """Put the texts that are not in the hash table there."""
    slots, mask = _int_at(texts + _TEXTS.slots), _int_at(texts + _TEXTS.mask)
    for number in range(_int_at(texts + _TEXTS.indexed), _int_at(texts + _TEXTS.used)):
        hashed = _word_at(_int_at(texts + _TEXTS.hashes) + 8 * number)
        slot = np.int64(hashed) & mask
        while _word_at(slots + 8 * slot) != 0:
            slot = (slot + 1) & mask
        _set_word(slots + 8 * slot, _entry(hashed, number))
    _set_word(texts + _TEXTS.indexed, _word_at(texts + _TEXTS.used))


@_inlined  # type: ignore[untyped-decorator]
def _number(texts: int, hashed: np.uint64, pieces: tuple[int, int, int, int, int, int]) -> int:
    """Find the number of a text, given as three pieces, in `Texts`; add it if it is new.

    Returns -1 if there is no room left.
    """
    one, one_size, two, two_size, three, three_size = pieces
    size = one_size + two_size + three_size
    slots, mask = _int_at(texts + _TEXTS.slots), _int_at(texts + _TEXTS.mask)
    ends, text = _int_at(texts + _TEXTS.ends), _int_at(texts + _TEXTS.text)
    slot = np.int64(hashed) & mask
    taken = _word_at(slots + 8 * slot)
    while taken != 0:
        if taken >> np.uint64(32) == hashed >> np.uint64(32):
            number = np.int64(taken & np.uint64(0xFFFFFFFF)) - 1
            end = ends + 8 * number
            start = text + _int_at(end)
            if (
                _int_at(end + 8) - _int_at(end) == size
                and _same(three, start + one_size + two_size, three_size)
                and _same(one, start, one_size)
                and _same(two, start + one_size, two_size)
            ):
                return number  # type: ignore[return-value]
        slot = (slot + 1) & mask
        taken = _word_at(slots + 8 * slot)
    used = _int_at(texts + _TEXTS.used)
    end = ends + 8 * used
    full = _int_at(end) + size > _int_at(texts + _TEXTS.room)
    if full or used == _int_at(texts + _TEXTS.most):
        return -1
    to = _copy(one, one_size, text + _int_at(end))
    to = _copy(two, two_size, to)
    to = _copy(three, three_size, to)
    _set_word(end + 8, to - text)
    _set_word(_int_at(texts + _TEXTS.hashes) + 8 * used, hashed)
    _set_word(slots + 8 * slot, _entry(hashed, used))
    _set_word(texts + _TEXTS.used, used + 1)
    _set_word(texts + _TEXTS.indexed, used + 1)
    return used


def _split_lines(job: int) -> None:
    """Split lines until all are done or something has no room left: what a `Job` asks for."""
    newlines, salt = _int_at(job + _JOB.newlines), _int_at(job + _JOB.salt)
    probe, probe_size = _int_at(job + _JOB.probe), _int_at(job + _JOB.probe_size)
    frames, stamps = _int_at(job + _JOB.frames), _int_at(job + _JOB.stamps)
    frame_of, stamp_of = _int_at(job + _JOB.frame_of), _int_at(job + _JOB.stamp_of)
    line, most = _int_at(job + _JOB.lines), _int_at(job + _JOB.most)
    length = _int_at(job + _JOB.length)
    data = _int_at(job + _JOB.data)
    at, stop = data + _int_at(job + _JOB.done), data + _int_at(job + _JOB.size)
    _index(frames)
    _index(stamps)
    last, last_stamp, last_size = at, -1, 0
    full = 0
    while at < stop and not full:
        end = _line_end(at, stop, newlines)
        start = _timestamp(at, end, job)
        after = start + length
        if start < at or after > end:  # none: an empty one, at the start of the line
            start = after = at
        # lines are sorted by time, so most have the timestamp of the line before
        if last_stamp >= 0 and after - start == last_size and _same(start, last, last_size):
            stamp = last_stamp
        else:
            hashed = _hash(start, after - start, np.uint64(0), salt)
            stamp = _number(stamps, hashed, (start, after - start, at, 0, at, 0))
            last, last_stamp, last_size = start, stamp, after - start
        hashed = _hash(after, end - after, _hash(at, start - at, np.uint64(0), salt), salt)
        frame = _number(frames, hashed, (at, start - at, probe, probe_size, after, end - after))
        full = 1 if line == most else 2 if frame < 0 else 3 if stamp < 0 else 0
        if not full:
            _set_half(frame_of + 4 * line, frame)
            _set_half(stamp_of + 4 * line, stamp)
            line += 1
            at = end + 1
    _set_word(job + _JOB.done, min(at, stop) - data)
    _set_word(job + _JOB.lines, line)
    _set_word(job + _JOB.full, full)


def compile_kernel() -> tuple[str, str]:
    """Compile; return the name of the function and its code for LLVM, which refers to nothing else.

    It is called as numba calls its own: with two addresses where it may leave eight bytes of no
    meaning, and that of the `Job`.
    """
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "boundscheck": False}
    made = njit(types.void(int64), **options)(_split_lines)
    (code,) = made.inspect_llvm().values()
    (name,) = re.findall(r'^define [^@]*@"?([^"(]+)"?\(', code, re.MULTILINE)
    return name, code
