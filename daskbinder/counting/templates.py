"""From frames to launches: lines without their timestamp, read through their few templates.

Frames are cut around the values of ``spec`` and ``ref``, which leaves few distinct templates. A
template is read by `daskbinder.model.launch` with a probe in each of its holes. If the probes come
out as the values of those fields, any valid text in a hole is the value of its field. Probes are
random, so no file can contain one.
"""

import re
import secrets
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints, distinct_rows
from daskbinder.counting.lines import TIMESTAMP_PROBE
from daskbinder.counting.pieces import Pieces, bounds_of, cut, hash_pieces
from daskbinder.model.launch import COLUMNS, Launch, read_fields

_PROBES = {name: secrets.token_hex(16).encode() for name in ("spec", "ref")}
_OPENINGS = {name: re.compile(rb'"%b"\s*:\s*"' % name.encode()) for name in _PROBES}
_SMALLEST_GROUP = 32

Hole = tuple[Ints, Ints]
"""Where in the data buffer of some frames the value of a field starts and stops."""


def read_frames(frames: pa.BinaryArray, versions: frozenset[int]) -> tuple[Ints, pa.Table]:
    """Read frames: the row of each in a table of launches, or -1 if it may not be a launch."""
    row = np.full(len(frames), -1)
    tables: list[pa.Table] = []

    def read(chosen: Ints, group: pa.Array, holes: dict[str, Hole]) -> None:
        is_launch, launches = _read_group(group, holes, versions)
        first = sum(map(len, tables))
        row[chosen[is_launch]] = np.arange(first, first + len(launches))
        tables.append(launches)

    for chosen, group, holes in _groups(frames):
        read(chosen, group, holes)
    rest = np.flatnonzero(row < 0)
    read(rest, frames.take(pa.array(rest)), {})
    return row, join_tables(tables)


def launch_table(launches: Sequence[Launch | None]) -> pa.Table:
    """Lay launches out with `COLUMNS`, text as dictionaries; a row of nulls for None."""
    columns = {}
    for name, (dtype, *_) in COLUMNS.items():
        values = pa.array([launch and getattr(launch, name) for launch in launches], dtype)
        columns[name] = values.dictionary_encode() if pa.types.is_string(dtype) else values
    return pa.table(columns)


def join_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Join tables of launches one below the other; each column is one chunk."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _groups(frames: pa.Array) -> Iterator[tuple[Ints, pa.Array, dict[str, Hole]]]:
    """Group frames by their number of quotes; yield indices, frames and holes of each group.

    The position of the holes is guessed from the first frame of a group.
    """
    bounds = bounds_of(frames)
    quotes = np.flatnonzero(np.frombuffer(frames.buffers()[2] or b"", np.uint8) == ord('"'))
    first = np.searchsorted(quotes, bounds)
    counts = np.diff(first)
    for count in np.flatnonzero(np.bincount(counts) >= _SMALLEST_GROUP).tolist():
        chosen = np.flatnonzero(counts == count)
        group = frames.take(pa.array(chosen))
        shift = bounds_of(group)[:-1] - bounds[chosen]
        holes = {
            name: (
                quotes[first[chosen] + opening] + 1 + shift,
                quotes[first[chosen] + opening + 1] + shift,
            )
            for name, opening in _find_openings(group[0].as_py()).items()
            if opening + 1 < count
        }
        yield chosen, group, holes


def _find_openings(frame: bytes) -> dict[str, int]:
    """Guess which quotes of a frame open the values of spec and ref, in ascending order."""
    openings = {}
    for name, pattern in _OPENINGS.items():
        if match := pattern.search(frame):
            openings[name] = frame.count(b'"', 0, match.end()) - 1
    return dict(sorted(openings.items(), key=lambda opening: opening[1]))


def _read_group(
    frames: pa.Array, holes: dict[str, Hole], versions: frozenset[int]
) -> tuple[npt.NDArray[np.bool_], pa.Table]:
    """Tell which frames are launches, and read those; holes come in the order they stand in."""
    positions = [position for hole in holes.values() for position in hole]
    pieces = hash_pieces(cut(frames, *positions), len(positions) + 1)
    around, inside = pieces[::2], pieces[1::2]

    codes, template = distinct_rows([column.code for column in around])
    parts = [around[0].values.take(pa.array(code)).to_pylist() for code in codes]
    launches = [_read_template(part, [*holes], versions) for part in zip(*parts, strict=True)]
    is_launch = np.array([launch is not None for launch in launches], np.bool_)[template]
    texts = dict(zip(holes, map(_read_strings, inside), strict=True))
    for text in texts.values():
        is_launch &= text.values.is_valid().to_numpy(zero_copy_only=False).take(text.code)

    table = launch_table(launches).take(pa.array(template[is_launch]))
    for name, text in texts.items():
        column = text.values.dictionary_encode().take(pa.array(text.code[is_launch]))
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return is_launch, table


def _read_template(
    around: Sequence[bytes], holes: Sequence[str], versions: frozenset[int]
) -> Launch | None:
    """Read a template with probes in its holes; None if they are not its values."""
    line = around[0]
    for name, piece in zip(holes, around[1:], strict=True):
        line += _PROBES[name] + piece
    fields = read_fields(line, versions)
    if not isinstance(fields, tuple) or fields[0] != TIMESTAMP_PROBE.decode():
        return None
    launch = fields[1]
    if any(getattr(launch, name) != _PROBES[name].decode() for name in holes):
        return None
    return launch


def _read_strings(pieces: Pieces) -> Pieces:
    """Decode the bytes between the quotes of JSON strings; null where invalid."""
    values, code = pieces.used()
    texts = values.cast(pa.string(), safe=False)
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    odd = np.flatnonzero((data < 0x20) | (data == ord("\\")) | (data >= 0x80))
    if not len(odd):
        return Pieces(texts, code)
    odd = np.unique(np.searchsorted(bounds_of(values), odd, "right") - 1)
    is_odd = np.zeros(len(values), np.bool_)
    is_odd[odd] = True
    read = pa.array(map(_read_string, values.take(pa.array(odd)).to_pylist()), pa.string())
    return Pieces(pc.replace_with_mask(texts, pa.array(is_odd), read), code)


def _read_string(value: bytes) -> str | None:
    try:
        return orjson.loads(b'"%b"' % value)
    except orjson.JSONDecodeError:
        return None
