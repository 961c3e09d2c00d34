"""Lines split by compiled code: what `daskbinder.counting.lines` does, for large archives."""

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from daskbinder.counting.compiled import Texts, fill_slots, split_lines
from daskbinder.counting.lines import NOWHERE, TIMESTAMP_PROBE, Split, locate_timestamp
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
        while full := split_lines(
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
        return Split(
            self._frame[:lines],
            self._stamp[:lines],
            slices(self._frames.text, self._frames.ends[: frames + 1]),
            slices(self._stamps.text, self._stamps.ends[: stamps + 1]),
        )


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
    fill_slots(slots, texts.hashes)
    return texts._replace(slots=slots, hashes=hashes, ends=_doubled(texts.ends, used + 1))


def _doubled(array: npt.NDArray[Any], used: int) -> npt.NDArray[Any]:
    """Copy the used part of an array into one that is twice as long."""
    larger = np.empty(2 * len(array), array.dtype)
    larger[:used] = array[:used]
    return larger
