"""Day files: which there are, and the verified bytes of one.

Knows names, dates, sizes and line ends; never what a line says.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from io import BytesIO

import orjson

from daskbinder.errors import InputError, JobError
from daskbinder.place import Place

INDEX = "index.jsonl"

_NAME = re.compile(r"events-([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl(?:\.gz)?")
_ATTEMPTS = 3
_STEP = 1 << 20


def date_of(name: str) -> date | None:
    """Date of a day file, or None if the name is not exactly one of a day file."""
    found = _NAME.fullmatch(name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


@dataclass(frozen=True, order=True)
class DayFile:
    """A day file as it was listed.

    Attributes
    ----------
    date : datetime.date
        The UTC date in its name.
    name : str
        Its name, ``events-YYYY-MM-DD.jsonl`` or that with ``.gz``.
    size : int
        Bytes, compressed if it is.
    fingerprint : str
        What the place gave that changes with the content.
    """

    date: date
    name: str
    size: int
    fingerprint: str

    def __post_init__(self) -> None:
        if date_of(self.name) != self.date:
            raise ValueError(f"{self.name!r} is not the name of the day file of {self.date}")
        if self.size < 0:
            raise ValueError(f"{self.name}: a file cannot have {self.size} bytes")

    @property
    def compressed(self) -> bool:
        """Whether the file is a gzip archive."""
        return self.name.endswith(".gz")


@dataclass(frozen=True)
class Part:
    """The lines of a day file that start at or after byte `start` and before byte `stop`."""

    file: DayFile
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        """Whether the part is the whole file."""
        return self.start == 0 and self.stop >= self.file.size


def list_day_files(place: Place) -> tuple[DayFile, ...]:
    """List the day files of a place by date, without reading them."""
    try:
        entries = list(place.entries())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"there is no archive at {place}; give its folder or URL") from error
    files: dict[date, DayFile] = {}
    for entry in entries:
        day = date_of(entry.name)
        if day is None:
            continue
        if day in files:
            raise InputError(
                f"{place} has two files for {day}, {files[day].name} and {entry.name}; remove one"
            )
        files[day] = DayFile(day, entry.name, entry.size or 0, entry.fingerprint)
    return tuple(sorted(files.values()))


def read_index(place: Place) -> dict[date, int]:
    """Launches of each date as ``index.jsonl`` gives them; empty where there is no index.

    Entries that are no day of an archive, or have no sensible count, are left out: the listing
    is the truth and the index a cross-check.
    """
    try:
        data = place.read(INDEX)
    except FileNotFoundError:
        return {}
    counts = {}
    for line in data.splitlines():
        try:
            entry = orjson.loads(line)
            day, count = date_of(entry["name"]), int(entry["count"])
        except (ValueError, KeyError, TypeError):
            continue
        if day is not None and count >= 0:
            counts[day] = count
    return counts


def read_part(place: Place, part: Part, size: int) -> Iterator[bytes | memoryview]:
    """Bytes of the lines of a part, in pieces of whole lines.

    A compressed file comes in pieces of about `size` bytes, any other part in one.

    Raises
    ------
    JobError
        When what was read is not what was listed, even after reading again.
    """
    if part.file.compressed:
        yield from _decompress(part.file, _read_whole(place, part.file), size)
    elif part.whole:
        yield _read_whole(place, part.file)
    else:
        yield _read_range(place, part)


def _read_whole(place: Place, file: DayFile) -> memoryview:
    for _ in range(_ATTEMPTS):
        try:
            data = place.read_into_memory(file.name, 0, file.size + 1)
            if len(data) != file.size:
                seen = f"its size is not the {file.size:,} bytes listed"
            elif place.is_local and place.entry(file.name).fingerprint != file.fingerprint:
                seen = "it was rewritten since"
            else:
                return data
        except OSError as error:
            seen = f"{type(error).__name__}: {error}"
    raise JobError(f"cannot read {file.name} as it was listed ({seen}); run again")


def _read_range(place: Place, part: Part) -> bytes:
    start = max(part.start - 1, 0)
    data = _read_exactly(place, part.file, start, part.stop)
    if part.start:
        first = data.find(b"\n") + 1
        data = data[first:] if first else b""
    pieces, end = [data], part.stop
    while data and not data.endswith(b"\n") and end < part.file.size:
        data = _read_exactly(place, part.file, end, min(end + _STEP, part.file.size))
        end += len(data)
        found = data.find(b"\n") + 1
        if found:
            data = data[:found]
        pieces.append(data)
    return b"".join(pieces)


def _read_exactly(place: Place, file: DayFile, start: int, stop: int) -> bytes:
    data = bytes(place.read_into_memory(file.name, start, stop))
    if len(data) != stop - start:
        raise JobError(f"{file.name} is shorter than the {file.size:,} bytes listed; run again")
    return data


def _decompress(file: DayFile, data: memoryview, size: int) -> Iterator[bytes]:
    rest = b""
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
            while piece := stream.read(size):
                end = piece.rfind(b"\n") + 1
                if end:
                    yield rest + piece[:end]
                    rest = piece[end:]
                else:
                    rest += piece
    except (EOFError, OSError, zlib.error) as error:
        raise JobError(f"{file.name} is not a whole gzip file ({error}); fetch it again") from error
    yield rest
