"""Bytes to launches: the counting kernel.

The bytes of most lines of a day repeat apart from their timestamp. So lines are cut into *before*,
*stamp* and *after* and hashed, and only the distinct pieces are read:

1. `_locate` learns from a few lines where the timestamp stands (so far from the start of a line, so
   far from its end, or behind its key).
2. Each distinct stamp is read once. Each distinct pair (before, after) becomes a *frame*: a line
   with a probe in place of its timestamp.
3. Frames are cut again, around the values of ``spec`` and ``ref``. What is left are few
   *templates*, with a probe in each hole. A template is read by `daskbinder.model.launch`, the one
   place that knows the rules; if the probes come out as the values of those fields, whatever valid
   text stands in the holes is their value. Probes are random, so no file can contain one.
4. Every line not decided so (other shapes, blank, rejected) is read by `events.read_line`.

Nothing here knows the shape of a line beyond a guess at where three values stand; a wrong guess
costs time, never an answer. This module opens no file and knows nothing of Dask.
"""

import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct
from daskbinder.model.launch import (
    COLUMNS,
    DAY,
    HOUR,
    TIMESTAMP,
    VERSIONS,
    Launch,
    Reason,
    read_fields,
    read_line,
    read_timestamp,
)

REJECTS_KEPT = 100
"""Rejected lines recorded one by one for each reason and file; the rest share one record."""

TEXT_KEPT = 200
"""Bytes of a rejected line that are recorded."""

_SAMPLES = 32
_SCAN = 1 << 20
_STAMP_PROBE = secrets.token_hex(16).encode()
_STAMP_AT = re.compile(rb'"timestamp"\s*:\s*"(?=([^"\\]*)")')
_HOLES = {
    name: (re.compile(rb'"%b"\s*:\s*"' % name.encode()), secrets.token_hex(16).encode())
    for name in ("spec", "ref")
}
_USUAL_STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$"
_NOT_A_STAMP = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Body:
    """Whole lines of a day file: all of them, or those of a byte range.

    Parameters
    ----------
    name : str
        Name of the day file.
    day : int
        The file's date, in days from 1970-01-01.
    data : bytes or memoryview
        The lines.
    """

    name: str
    day: int
    data: bytes | memoryview


@dataclass
class Tally:
    """What became of the lines of one `Body`.

    Attributes
    ----------
    physical : int
        Lines, blank ones included.
    accepted : int
        Lines that count as launches.
    hours : int
        Bit h is set when an accepted line falls into hour h of the file's own date.
    strays : bool
        Whether an accepted line falls on another date.
    rejected : Counter of Reason
        Lines rejected, by reason.
    records : list of (int, Reason, str)
        Index, reason and start of rejected lines, at most ``REJECTS_KEPT + 1`` a reason.
    """

    name: str
    day: int
    physical: int = 0
    accepted: int = 0
    hours: int = 0
    strays: bool = False
    rejected: Counter[Reason] = field(default_factory=Counter)
    records: list[tuple[int, Reason, str]] = field(default_factory=list)

    def reject(self, index: int, reason: Reason, line: bytes) -> None:
        """Count a rejected line and record it unless enough of its kind are."""
        self.rejected[reason] += 1
        if self.rejected[reason] <= REJECTS_KEPT + 1:
            text = line[:TEXT_KEPT].decode(errors="backslashreplace")
            self.records.append((index, reason, text))


@dataclass(frozen=True)
class Scan:
    """The accepted lines of some bodies, in order.

    Attributes
    ----------
    times : ndarray of int64
        The timestamps that occur, in microseconds from 1970-01-01 UTC.
    time : ndarray of int
        Place in `times`, an entry a line.
    launches : pyarrow.Table
        The launches that occur: the fields of `Launch`, text as dictionaries.
    launch : ndarray of int
        Row of `launches`, an entry a line.
    tallies : list of Tally
        One a body; line i belongs to the body whose ``accepted`` covers it.
    """

    times: npt.NDArray[np.int64]
    time: Ints
    launches: pa.Table
    launch: Ints
    tallies: list[Tally]


def scan(bodies: Sequence[Body], versions: frozenset[int] = VERSIONS) -> Scan:
    """Read every line of some bodies.

    Parameters
    ----------
    bodies : sequence of Body
        Day files or parts of them.
    versions : frozenset of int
        The schema versions that are accepted.

    Returns
    -------
    Scan
        Accepted lines, and the tally of each body.
    """
    lines = [_lines(body.data) for body in bodies]
    sizes = [len(body_lines) for body_lines in lines]
    days = np.repeat(np.array([body.day for body in bodies], np.int32), sizes)
    launches = _Launches(versions)
    times, time, launch = _decide(lines, days, launches)
    decided = len(times)

    tallies = []
    first = 0
    for body, body_lines, size in zip(bodies, lines, sizes, strict=True):
        part = slice(first, first + size)
        tally, times = _finish(body, body_lines, times, time[part], launch[part], launches)
        tallies.append(tally)
        first += size
    accepted = launch >= 0
    if len(times) > decided or not accepted.all():  # what was taken for a time may be none
        used, time = distinct(time[accepted], len(times))
        times, launch = times[used], launch[accepted]
    return Scan(times, time, launches.table(), launch, tallies)


def _lines(data: bytes | memoryview) -> pa.Array:
    """Lines of `data` with their line ends, as slices of it: nothing is copied.

    Line ends are marked, found by eights, and then in those eights: few have any.
    """
    buffer = np.frombuffer(data, np.uint8)
    mask = np.zeros(_SCAN, np.bool_)
    eights = mask.view(np.uint64)
    has = np.empty(len(eights), np.bool_)
    marked, place = [eights[:0]], [np.empty(0, np.intp)]
    for at in range(0, len(buffer), _SCAN):
        piece = buffer[at : at + _SCAN]
        np.equal(piece, ord("\n"), out=mask[: len(piece)])
        mask[len(piece) :] = False
        found = np.not_equal(eights, 0, out=has).nonzero()[0]
        marked.append(eights.take(found))
        place.append(found + at // 8)
    end = np.concatenate(marked).view(np.bool_).nonzero()[0]
    ends = np.concatenate(place)[end >> 3] * 8 + (end & 7) + 1
    last = [len(buffer)] if len(buffer) and buffer[-1] != ord("\n") else []
    return _slices(data, np.concatenate([[0], ends, last]))


def _slices(data: bytes | memoryview | pa.Buffer, bounds: Ints) -> pa.Array:
    """Adjacent slices of `data` as a binary array; `bounds` has one entry more than slices."""
    large = len(bounds) > 0 and int(bounds[-1]) > np.iinfo(np.int32).max
    dtype, width = (pa.large_binary(), np.int64) if large else (pa.binary(), np.int32)
    offsets = pa.py_buffer(np.ascontiguousarray(bounds, width))
    return pa.Array.from_buffers(dtype, len(bounds) - 1, [None, offsets, pa.py_buffer(data)])


def _bounds(array: pa.Array) -> Ints:
    """Bounds of the values of a binary array in its data buffer."""
    width = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    offsets = np.frombuffer(array.buffers()[1], width)
    return offsets[array.offset : array.offset + len(array) + 1]


def _decide(
    lines: list[pa.Array], days: Ints, launches: "_Launches"
) -> tuple[npt.NDArray[np.int64], Ints, Ints]:
    """Times, and time and launch of every line; launch -1 where the fast path cannot decide."""
    layout = _locate(lines)
    if layout is None:
        return np.empty(0, np.int64), np.zeros(len(days), np.intp), np.full(len(days), -1, np.intp)
    stamps, time, before, after = _take_apart(lines, layout)
    times = _read_stamps(stamps)

    size = max(len(before.values), len(after.values))
    lefts, rights, frame = _pairs(before.code, after.code, size)
    frames = pc.binary_join_element_wise(
        before.values.take(pa.array(lefts)),
        _STAMP_PROBE,
        after.values.take(pa.array(rights)),
        b"",
    )
    launch = launches.read(frames).take(frame)
    far = np.abs((times // DAY).astype(np.int32).take(time) - days) > 1
    launch[far] = -1
    return times, time, launch


class _Layout(NamedTuple):
    """Where the timestamp's value stands: so far from an end of the line, or behind its key.

    It has so many bytes. Where it stands at a distance from an end, `side` tells which: 0 from the
    start, 1 from the end.
    """

    length: int
    side: int | None
    distance: int
    key: bytes

    def at(self, lines: pa.Array) -> Ints:
        """Where in the buffer of some lines it starts; anywhere in a line of another layout."""
        bounds = _bounds(lines)
        if self.side == 0:
            at = bounds[:-1] + self.distance
        elif self.side == 1:
            at = bounds[1:] - self.distance
        else:
            found = pc.find_substring(lines, self.key).to_numpy(zero_copy_only=False)
            at = bounds[:-1] + np.where(found < 0, 0, found + len(self.key))
        return np.clip(at, bounds[:-1], bounds[1:])


class _Pieces(NamedTuple):
    """Distinct pieces of lines, and the place among them of each line's own."""

    values: pa.Array
    code: Ints


def _locate(lines: list[pa.Array]) -> _Layout | None:
    """Guess from a few lines where the timestamp stands; None when none of them gives a hint."""
    sizes = np.cumsum([0] + [len(body_lines) for body_lines in lines])
    picked = np.unique(np.linspace(0, max(sizes[-1] - 1, 0), _SAMPLES).astype(int))
    from_start: Counter[int] = Counter()
    from_end: Counter[int] = Counter()
    keys: Counter[bytes] = Counter()
    lengths: Counter[int] = Counter()
    for index in picked[: sizes[-1]]:
        body = int(np.searchsorted(sizes, index, "right")) - 1
        line = lines[body][index - sizes[body]].as_py()
        found = _STAMP_AT.search(line)
        if found:
            from_start[found.end()] += 1
            from_end[len(line) - found.end()] += 1
            keys[found[0]] += 1
            lengths[len(found[1])] += 1
    length = lengths.most_common(1)[0][0] if keys else 0
    if not length:
        return None
    (start, starts), (end, ends) = from_start.most_common(1)[0], from_end.most_common(1)[0]
    if 2 * max(starts, ends) <= keys.total():
        return _Layout(length, None, 0, keys.most_common(1)[0][0])
    return _Layout(length, 0, start, b"") if starts >= ends else _Layout(length, 1, end, b"")


def _take_apart(lines: list[pa.Array], layout: _Layout) -> tuple[pa.Array, Ints, _Pieces, _Pieces]:
    """Cut lines into before, stamp and after.

    Returns stamps, the place of each line's own among them, and the pieces before and after it.
    Where the stamp is close to an end, all from that end to it is hashed as one piece, and only the
    distinct ones of these are cut again.
    """
    side, length = layout.side, layout.length
    if side is None:
        at = [layout.at(body_lines) for body_lines in lines]
        code, values = _encode(
            [_cut(one, where, where + length) for one, where in zip(lines, at, strict=True)], 3
        )
        stamps, time = distinct(code[:, 1], len(values))
        before, after = _Pieces(values, code[:, 0]), _Pieces(values, code[:, 2])
        return values.take(pa.array(stamps)), time, before, after
    behind = length * (1 - side)
    code, values = _encode([_cut(one, layout.at(one) + behind) for one in lines], 2)
    ends, time = distinct(code[:, side], len(values))
    near = values.take(pa.array(ends))
    cut = _cut(near, layout.at(near) + length * side)
    stamps = cut.take(pa.array(np.arange(1 - side, len(cut), 2)))
    of_end, pieces = _encode([cut.take(pa.array(np.arange(side, len(cut), 2)))], 1)
    pair = [_Pieces(pieces, of_end[:, 0].take(time)), _Pieces(values, code[:, 1 - side])]
    return stamps, time, pair[side], pair[1 - side]


def _cut(lines: pa.Array, *at: Ints) -> pa.Array:
    """Cut each line at some places of the buffer: an array of the pieces of all lines."""
    bounds, width = _bounds(lines), len(at) + 1
    cuts = np.empty(width * len(lines) + 1, bounds.dtype)
    cuts[::width] = bounds
    for column, where in enumerate(at, 1):
        cuts[column::width] = np.minimum(where, bounds[1:])
    return _slices(lines.buffers()[2] or b"", cuts)


def _encode(pieces: list[pa.Array], columns: int) -> tuple[Ints, pa.Array]:
    """Hash pieces: a code a piece, shaped (pieces / columns, columns), and the distinct values."""
    encoded = pa.chunked_array(pieces).dictionary_encode().combine_chunks()
    return encoded.indices.to_numpy().reshape(-1, columns), encoded.dictionary


def _pairs(left: Ints, right: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Distinct pairs of codes below `size`: their left and right codes, and each row's pair."""
    lefts, left = distinct(left, size)
    rights, right = distinct(right, size)
    if len(lefts) == 1:
        return lefts.repeat(len(rights)), rights, right
    pairs, place = distinct(left * len(rights) + right, len(lefts) * len(rights))
    return lefts[pairs // max(len(rights), 1)], rights[pairs % max(len(rights), 1)], place


def _read_stamps(stamps: pa.Array) -> npt.NDArray[np.int64]:
    """Microseconds of each timestamp, or a number far from any day where it is none."""
    usual = pc.match_substring_regex(stamps, _USUAL_STAMP)
    try:
        read = pc.if_else(usual, stamps, None).cast(pa.string()).cast(TIMESTAMP)
    except pa.ArrowInvalid:
        read = pa.nulls(len(stamps), TIMESTAMP)
    times = read.cast(pa.int64()).fill_null(_NOT_A_STAMP).to_numpy().copy()
    for index in np.flatnonzero(times == _NOT_A_STAMP):
        time = read_timestamp(stamps[index].as_py().decode(errors="replace"))
        if time is not None:
            times[index] = time
    return times


class _Launches:
    """The distinct launches of a scan, a row each: a template, a spec and a ref."""

    def __init__(self, versions: frozenset[int]) -> None:
        self.versions = versions
        self.templates: dict[Launch, int] = {}
        self.parts: list[tuple[Ints, dict[str, pa.DictionaryArray]]] = []
        self.size = 0
        self.single: dict[Launch, int] = {}

    def read(self, frames: pa.Array) -> Ints:
        """Row of the launch that each frame is, or -1 where it is none or not surely one."""
        rows = np.full(len(frames), -1)
        bounds = _bounds(frames)
        quote = np.flatnonzero(np.frombuffer(frames.buffers()[2] or b"", np.uint8) == ord('"'))
        first = np.searchsorted(quote, bounds)
        quotes = np.diff(first)
        for count in np.flatnonzero(np.bincount(quotes) >= _SAMPLES):
            chosen = np.flatnonzero(quotes == count)
            group = frames.take(pa.array(chosen))
            holes = _find_holes(group[0].as_py(), int(count))
            moved = _bounds(group)[:-1] - bounds[chosen]
            at = [
                quote[first[chosen] + opening + side] + moved + (1 - side)
                for opening in holes.values()
                for side in (0, 1)
            ]
            rows[chosen] = self._read_group(group, [*holes], at)
        chosen = np.flatnonzero(rows < 0)
        rows[chosen] = self._read_group(frames.take(pa.array(chosen)), [], [])
        return rows

    def add(self, launch: Launch) -> int:
        """Row of a launch that was read by itself. Call `read` first."""
        return self.single.setdefault(launch, self.size + len(self.single))

    def table(self) -> pa.Table:
        """The rows, with the fields of `Launch` as columns, text as dictionaries."""
        if self.single:
            template = np.array([self._template(launch) for launch in self.single])
            texts = {
                name: pa.array([getattr(launch, name) for launch in self.single], pa.string())
                for name in _HOLES
            }
            self.parts.append(
                (template, {n: text.dictionary_encode() for n, text in texts.items()})
            )
        rows = pa.array(np.concatenate([np.empty(0, np.int64), *(part[0] for part in self.parts)]))
        columns = {}
        for name, (dtype, *_) in COLUMNS.items():
            if name in _HOLES:
                encoded = pa.dictionary(pa.int32(), dtype)
                column = pa.chunked_array([part[1][name] for part in self.parts], encoded)
                columns[name] = column.unify_dictionaries()
                continue
            column = pa.array([getattr(launch, name) for launch in self.templates], dtype)
            if dtype == pa.string():
                column = column.dictionary_encode()
            columns[name] = column.take(rows)
        return pa.table(columns)

    def _template(self, launch: Launch) -> int:
        return self.templates.setdefault(launch._replace(spec="", ref=None), len(self.templates))

    def _read_group(self, frames: pa.Array, holes: Sequence[str], at: Sequence[Ints]) -> Ints:
        """Rows of frames.

        `holes` names fields in the order they stand in, `at` has where in the buffer of the frames
        the value of each begins and ends.
        """
        width = len(at) + 1
        codes, values = _encode([_cut(frames, *at)], width)

        pieces: list[Ints] = []
        template: Ints = np.zeros(len(frames), np.int64)
        for column in range(0, width, 2):
            size = max(len(values), int(template.max(initial=0)) + 1)
            left, right, template = _pairs(template, codes[:, column], size)
            pieces = [piece[left] for piece in pieces] + [right]
        parts = [values.take(pa.array(piece)).to_pylist() for piece in pieces]
        read = [self._read_template(around, holes) for around in zip(*parts, strict=True)]

        known = np.array([launch is not None for launch in read], np.bool_)[template]
        texts = {
            name: (pa.array([launch and getattr(launch, name) for launch in read]), template)
            for name in _HOLES
        }
        for column, name in enumerate(holes):
            used, place = distinct(codes[:, 2 * column + 1], len(values))
            text = _read_strings(values.take(pa.array(used)))
            known &= text.is_valid().to_numpy(zero_copy_only=False)[place]
            texts[name] = text, place
        rows = np.full(len(frames), -1)
        rows[known] = np.arange(self.size, self.size + np.count_nonzero(known))
        self.size += int(np.count_nonzero(known))
        ids = np.array([-1 if launch is None else self._template(launch) for launch in read], int)
        encoded = {
            name: text.cast(pa.string()).dictionary_encode().take(pa.array(place[known]))
            for name, (text, place) in texts.items()
        }
        self.parts.append((ids[template[known]], encoded))
        return rows

    def _read_template(self, pieces: tuple[bytes, ...], holes: Sequence[str]) -> Launch | None:
        """Launch that a template stands for, probes in its holes, or None where it is not one."""
        filled = [pieces[0]]
        for name, piece in zip(holes, pieces[1:], strict=True):
            filled += [_HOLES[name][1], piece]
        fields = read_fields(b"".join(filled), self.versions)
        if not isinstance(fields, tuple) or fields[0] != _STAMP_PROBE.decode():
            return None
        launch = fields[1]
        if any(getattr(launch, name) != _HOLES[name][1].decode() for name in holes):
            return None
        return launch


def _find_holes(frame: bytes, quotes: int) -> dict[str, int]:
    """Ordinals of the quotes that open the values of spec and ref, guessed, in ascending order."""
    holes = {}
    for name, (key, _) in _HOLES.items():
        found = key.search(frame)
        opening = found and frame.count(b'"', 0, found.end()) - 1
        if opening is not None and opening + 1 < quotes:
            holes[name] = opening
    return dict(sorted(holes.items(), key=lambda hole: hole[1]))


def _read_strings(values: pa.Array) -> pa.Array:
    """What JSON strings with these bytes between their quotes mean; null where they are invalid."""
    texts = values.cast(pa.string(), safe=False)
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    odd = np.flatnonzero((data < 0x20) | (data == ord("\\")) | (data >= 0x80))
    if not len(odd):
        return texts
    odd = np.unique(np.searchsorted(_bounds(values), odd, "right") - 1)
    read: list[str | None] = []
    for value in values.take(pa.array(odd)).to_pylist():
        try:
            read.append(orjson.loads(b'"%b"' % value))
        except orjson.JSONDecodeError:
            read.append(None)
    mask = np.zeros(len(values), np.bool_)
    mask[odd] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(read, pa.string()))


def _finish(
    body: Body,
    lines: pa.Array,
    times: npt.NDArray[np.int64],
    time: Ints,
    launch: Ints,
    launches: _Launches,
) -> tuple[Tally, npt.NDArray[np.int64]]:
    """Read the lines that are not decided yet, in place, and take stock of all.

    Also returns `times` with those of the lines read here behind them.
    """
    tally = Tally(body.name, body.day, physical=len(lines))
    undecided = np.flatnonzero(launch < 0)
    bounds = _bounds(lines)
    starts, ends = bounds[undecided].tolist(), bounds[undecided + 1].tolist()
    more: dict[int, int] = {}
    for index, start, end in zip(undecided.tolist(), starts, ends, strict=True):
        line = bytes(body.data[start:end]).removesuffix(b"\n")
        read = read_line(line, body.day, launches.versions)
        if isinstance(read, Reason):
            tally.reject(index, read, line)
        elif read is not None:
            time[index] = more.setdefault(read[0], len(times) + len(more))
            launch[index] = launches.add(read[1])
    times = np.concatenate([times, np.fromiter(more, np.int64)])

    accepted = time if not len(undecided) else time[launch >= 0]
    tally.accepted = len(accepted)
    seen = np.zeros(len(times), np.bool_)
    seen[accepted] = True
    for hour in np.unique(times[seen] // HOUR - body.day * 24).tolist():
        if 0 <= hour < 24:
            tally.hours |= 1 << hour
        else:
            tally.strays = True
    return tally, times
