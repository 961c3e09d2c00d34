"""Lines split by compiled code: what `daskbinder.counting.lines` does, for large archives."""

import secrets
from ctypes import addressof
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.job import Job, Texts
from daskbinder.counting.lines import NOWHERE, TIMESTAMP_PROBE, Split, locate_timestamp
from daskbinder.counting.machine_code import split_lines
from daskbinder.counting.pieces import slices

_ANCHORS = {"start": 0, "end": 1, "key": 2}
_PROBE = np.frombuffer(TIMESTAMP_PROBE, np.uint8)
_NEWLINES = np.full(64, ord("\n"), np.uint8)
_SALT = np.array([secrets.randbits(63) for _ in range(4)], np.uint64)
"""Keeps anybody from making up lines that all have the same hash."""

_TEXTS = 1 << 12
_TEXT_BYTES = 1 << 18
_LINES = 1 << 16


class CompiledSplitter:
    """Splits lines by compiled code."""

    def __init__(self) -> None:
        self._frames, self._stamps = _Texts(), _Texts()
        self._frame, self._stamp = (np.empty(_LINES, np.int32) for _ in range(2))
        self._layout = NOWHERE
        self._job = Job(
            frames=self._frames.address,
            stamps=self._stamps.address,
            probe=_PROBE.ctypes.data,
            probe_size=len(_PROBE),
            newlines=_NEWLINES.ctypes.data,
            salt=_SALT.ctypes.data,
        )

    @property
    def nbytes(self) -> int:
        """Bytes held, approximately."""
        return 8 * self._job.lines + self._frames.nbytes + self._stamps.nbytes

    def add(self, data: bytes | memoryview) -> int:
        """Split lines, of which only the last may have no line end; return how many there are."""
        job, lines = self._job, np.frombuffer(data, np.uint8)
        layout = self._layout = locate_timestamp(data, self._layout)
        key = np.frombuffer(layout.key, np.uint8)
        before = job.lines
        job.data, job.size, job.done = lines.ctypes.data, len(lines), 0
        job.anchor, job.distance = _ANCHORS[layout.anchor], layout.distance
        job.length, job.key, job.key_size = layout.length, key.ctypes.data, len(key)
        full = 1
        while full:
            job.frame_of, job.stamp_of = self._frame.ctypes.data, self._stamp.ctypes.data
            job.most = len(self._frame)
            full = split_lines(job)
            self._make_room(full)
        return int(job.lines) - before

    def _make_room(self, full: int) -> None:
        if full == 1:
            lines = self._job.lines
            self._frame, self._stamp = (_doubled(one, lines) for one in (self._frame, self._stamp))
        elif full:
            (self._frames if full == 2 else self._stamps).grow()

    def split(self) -> Split:
        """Return all lines added."""
        lines = self._job.lines
        return Split(
            self._frame[:lines], self._stamp[:lines], self._frames.slices(), self._stamps.slices()
        )


class _Texts:
    """A set of texts, and the arrays it is kept in."""

    def __init__(self) -> None:
        self._ends = np.zeros(_TEXTS + 1, np.int64)
        self._text = np.empty(_TEXT_BYTES, np.uint8)
        self._hashes = np.empty(_TEXTS, np.uint64)
        self._texts = Texts()
        self.address = addressof(self._texts)
        self._describe()

    @property
    def nbytes(self) -> int:
        """Bytes of all texts."""
        return int(self._ends[self._texts.used])

    def slices(self) -> pa.Array:
        """Return the texts, by number."""
        return slices(self._text, self._ends[: self._texts.used + 1])

    def grow(self) -> None:
        """Double the room: for more texts, or for their bytes."""
        used = self._texts.used
        if used < len(self._hashes):
            self._text = _doubled(self._text, self.nbytes)
        else:
            self._hashes = _doubled(self._hashes, used)
            self._ends = _doubled(self._ends, used + 1)
        self._describe()

    def _describe(self) -> None:
        """Tell the kernel where the arrays are; it fills a new hash table itself."""
        texts = self._texts
        if texts.most < len(self._hashes):
            self._slots = np.zeros(2 * len(self._hashes), np.uint64)
            texts.slots, texts.mask = self._slots.ctypes.data, len(self._slots) - 1
            texts.indexed = 0
        texts.hashes, texts.most = self._hashes.ctypes.data, len(self._hashes)
        texts.text, texts.room = self._text.ctypes.data, len(self._text)
        texts.ends = self._ends.ctypes.data


def _doubled(array: npt.NDArray[Any], used: int) -> npt.NDArray[Any]:
    """Copy the used part of an array into one that is twice as long."""
    larger = np.empty(2 * len(array), array.dtype)
    larger[:used] = array[:used]
    return larger
