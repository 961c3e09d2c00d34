"""Day files: which there are, and the verified bytes of one.

Knows names, dates, sizes and line ends; never what a line says.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache

import orjson

from daskbinder.archive.packed import HEADER, NotWhole, is_packed, unpack
from daskbinder.errors import InputError, JobError, LostFiles
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.storage.backend import REFUSED, Entry
from daskbinder.storage.location import Location

INDEX = "index.jsonl"

_STEP = 1 << 20
_LOOK = 1 << 14

_TICK = 0.02
"""Seconds in which two changes of a file may get the same time: kernels count in steps of up to 10
ms."""

_MOST_LAUNCHES = 1 << 63
"""More than any index can rightly say, and than a table can hold."""

_MOST_PARTS = 1_000
"""Parts of a file, at most: the size that a site tells may be anything."""

_LOOKS = 10
"""How often a file is looked at that changes all the time."""


@dataclass(frozen=True, order=True)
class DayFile:
    """A day file as it was listed.

    Attributes
    ----------
    date : datetime.date
        The UTC date in its name.
    name : str
        Its name, in which the date stands.
    size : int
        Bytes, compressed if it is.
    fingerprint : str
        What the place gave that changes with the content.
    modified : float or None
        When it was last written, in seconds since 1970, None where the place does not say.
    ctime_ns : int or None
        When anything of it was last changed, in nanoseconds since 1970; only folders say.
    """

    date: date
    name: str
    size: int
    fingerprint: str
    modified: float | None = field(default=None, compare=False, repr=False)
    ctime_ns: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.date.isoformat() not in self.name:
            raise ValueError(f"{self.name!r} is not the name of the day file of {self.date}")
        if self.size < 0:
            raise ValueError(f"{self.name}: a file cannot have {self.size} bytes")

    @property
    def compressed(self) -> bool:
        """Whether the file is called a gzip file; what its first bytes say is what counts."""
        return self.name.endswith(".gz")

    @property
    def refused(self) -> bool:
        """Whether the place told that there is such a file and that we may not read it."""
        return REFUSED in self.entry.known

    @property
    def entry(self) -> Entry:
        """The file as the place listed it."""
        return Entry(self.name, self.size, self.fingerprint, self.modified, ctime_ns=self.ctime_ns)


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


def parts_of(files: Iterable[DayFile], size: int) -> Iterator[Part]:
    """Cut files larger than `size` bytes into parts, those called gzip excepted."""
    for file in files:
        cut = max(size, -(-file.size // _MOST_PARTS))
        step = file.size if file.compressed else min(cut, file.size)
        for start in range(0, max(file.size, 1), max(step, 1)):
            yield Part(file, start, min(start + step, file.size))


def list_day_files(
    location: Location, instance: Instance = MYBINDER, *, today: date | None = None
) -> tuple[DayFile, ...]:
    """List the day files of a place by date, without reading them.

    Parameters
    ----------
    location : Location
        Where they are. One that lists nothing is asked for each day by name.
    instance : Instance
        Whose archive it is.
    today : datetime.date, optional
        The last day to ask for, the UTC date by default.

    Raises
    ------
    InputError
        When there is nothing at all, or one date has two files.
    """
    try:
        if location.lists:
            entries = location.listing()
        else:
            last = today or datetime.now(UTC).date()
            entries = location.entries_named(_expected(location, instance, last))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"there is no archive at {location}; give its folder or URL") from error
    if not (entries or location.lists):
        raise InputError(
            f"{location} has no day since {instance.first}; give the address of an archive"
        )
    files: dict[date, DayFile] = {}
    for entry in entries:
        day = instance.date_of(entry.name)
        if day is None:
            continue
        if entry.kind != "file":
            raise InputError(
                f"{location}/{entry.name} is a {entry.kind}, not a day file; remove it"
            )
        if day in files:
            raise InputError(
                f"{location} has two files for {day}, {files[day].name} and {entry.name}; "
                "remove one"
            )
        if (entry := _at_rest(location, entry)).size is None:
            raise InputError(
                f"{location} does not say how many bytes {entry.name} has; "
                "fetch the archive into a folder first"
            )
        files[day] = DayFile(
            day, entry.name, entry.size, entry.fingerprint, entry.modified, entry.ctime_ns
        )
    return tuple(sorted(files.values()))


def _at_rest(location: Location, entry: Entry) -> Entry:
    """Describe a file so that any later change of it shows in its times."""
    for _ in range(_LOOKS):
        if entry.ctime_ns is None or abs(time.time() - entry.ctime_ns / 1e9) > _TICK:
            break
        time.sleep(_TICK)
        before, entry = entry, location.entry(entry.name)
        if entry.ctime_ns == before.ctime_ns:
            break
    return entry


def _expected(location: Location, instance: Instance, today: date) -> list[str]:
    """Names of all day files there may be; the index can only say which are compressed."""
    first = instance.first
    days = [first + timedelta(days=i) for i in range((today - first).days + 1)]
    named = {name for day, name, _ in _index(location, instance) if first <= day <= today}
    return sorted({*map(instance.name_of, days)} | named)


def read_index(location: Location, instance: Instance = MYBINDER) -> dict[date, int]:
    """Launches of each date as ``index.jsonl`` gives them; empty where there is no index.

    Entries that are no day of an archive, or have no sensible count, are left out: what is there
    is the truth and the index a cross-check.
    """
    return {day: count for day, _, count in _index(location, instance)}


def _index(location: Location, instance: Instance) -> Iterator[tuple[date, str, int]]:
    """Dates, names and counts of day files, as the index of a place gives them."""
    try:
        data = location.read(INDEX)
    except FileNotFoundError:
        return
    yield from entries_of_index(data, instance)


def entries_of_index(data: bytes, instance: Instance) -> Iterator[tuple[date, str, int]]:
    """Dates, names and counts of day files in the bytes of an index."""
    for line in data.splitlines():
        try:
            entry = orjson.loads(line)
            name, count = entry["name"], int(entry["count"])
            day = instance.date_of(name)
        except (ValueError, KeyError, TypeError):
            continue
        if day is not None and 0 <= count < _MOST_LAUNCHES:
            yield day, name, count


def read_groups(
    location: Location, parts: Sequence[Part], size: int
) -> Iterator[list[tuple[Part, bytes | memoryview]]]:
    """Bytes of the lines of some parts, as many at a time as make up about `size` bytes.

    From elsewhere, parts are fetched at once while the caller works on those that have come; a
    group is then what has arrived. What is held is about `size`, of parts that are smaller.

    Raises
    ------
    LostFiles
        When what was read is not what was listed, even after reading again.
    """
    if not location.is_local and sum(part.stop - part.start for part in parts) > size:
        size //= 2  # one half is on its way while the other is worked on
    group: list[tuple[Part, bytes | memoryview]] = []
    held = 0
    for part, coming in _ahead(location, parts, size):
        if group and not coming.done():
            yield group
            group, held = [], 0
        for piece in pieces(part, coming.result(), size):
            if group and held + len(piece) > size:
                yield group
                group, held = [], 0
            group.append((part, piece))
            held += len(piece)
    if group:
        yield group


def _ahead(
    location: Location, parts: Sequence[Part], size: int
) -> Iterator[tuple[Part, "Future[bytes | memoryview]"]]:
    """Parts and their bytes, which are on their way or, from a folder, there."""
    if location.is_local:
        for part in parts:
            there: Future[bytes | memoryview] = Future()
            there.set_result(_fetch(location, part))
            yield part, there
        return
    pool = _pool(location.concurrency)
    rest = deque(parts)
    coming: deque[tuple[Part, Future[bytes | memoryview]]] = deque()
    under_way = 0
    try:
        while rest or coming:
            while rest and (not coming or under_way + _length(rest[0]) <= size):
                under_way += _length(rest[0])
                coming.append((rest[0], pool.submit(_fetch, location, rest.popleft())))
            under_way -= _length(coming[0][0])
            yield coming.popleft()
    finally:
        for _, future in coming:
            future.cancel()


def _length(part: Part) -> int:
    return part.stop - part.start


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Give the threads that fetch for all tasks of this process.

    Sharing them puts the tasks in a row: one has all its bytes and counts while those of the next
    come. If each had its own, all would share the link, wait together and then count together.
    """
    return ThreadPoolExecutor(threads, "daskbinder-fetch")


def read_part(location: Location, part: Part, size: int) -> Iterator[bytes | memoryview]:
    """Bytes of the lines of a part, in pieces of whole lines.

    A compressed file comes in pieces of about `size` bytes, any other part in one.

    Raises
    ------
    LostFiles
        When what was read is not what was listed, even after reading again.
    """
    return pieces(part, _fetch(location, part), size)


def lost(location: Location, parts: Sequence[Part]) -> dict[str, str]:
    """Names of the files that cannot be read, and why; each is tried."""

    def reason(part: Part) -> dict[str, str]:
        try:
            for _ in read_part(location, part, _STEP):
                pass
        except LostFiles as error:
            return error.files
        return {}

    with ThreadPoolExecutor(location.concurrency) as pool:
        return {name: why for found in pool.map(reason, parts) for name, why in found.items()}


def pieces(part: Part, data: bytes | memoryview, size: int) -> Iterator[bytes | memoryview]:
    """Lines of a part in pieces of whole lines, out of gzip if the file is that.

    Raises
    ------
    LostFiles
        When it is gzip and not whole.
    """
    name = part.file.name
    if part.start or not is_packed(data, called=part.file.compressed):
        yield data
        return
    try:
        yield from unpack(data, size)
    except NotWhole as error:
        reason = f"{name} is not a whole gzip file ({error}); fetch it again"
        raise LostFiles({name: reason}) from error


def _fetch(location: Location, part: Part) -> bytes | memoryview:
    """Bytes of a part: of a whole file as they are, else from line end to line end.

    All lines of a gzip file are in its first part.
    """
    entry = part.file.entry
    try:
        if part.file.refused:
            raise location.refusal(part.file.name)
        if part.whole:
            return location.fetch(entry)
        if is_packed(location.fetch_range(entry, 0, min(HEADER, part.file.size))):
            return b"" if part.start else location.fetch(entry)
        return _fetch_lines(location, part)
    except (InputError, JobError) as error:
        raise LostFiles({part.file.name: str(error)}) from error
    except OSError as error:
        seen = error.strerror or error
        raise LostFiles(
            {part.file.name: f"{location}/{part.file.name} cannot be read: {seen}"}
        ) from error


def _fetch_lines(location: Location, part: Part) -> bytes | memoryview:
    entry, size = part.file.entry, part.file.size
    first = max(part.start - 1, 0)
    end = min(part.stop + _STEP, size)
    data = memoryview(location.fetch_range(entry, first, end))
    inside = part.stop - first
    start = _line_end(data, 0, inside) if part.start else 0
    if start == inside or (part.start and not start):  # no line starts here
        return b""
    stop = _line_end(data, inside - 1, len(data))
    if stop or end == size:
        return data[start : stop or len(data)]
    pieces = [bytes(data[start:])]
    while not stop and end < size:
        data = memoryview(location.fetch_range(entry, end, min(end + _STEP, size)))
        stop = _line_end(data, 0, len(data))
        pieces.append(bytes(data[: stop or len(data)]))
        end += len(data)
    return b"".join(pieces)


def _line_end(data: memoryview, start: int, stop: int) -> int:
    """Where the first line end at or after `start` is over; 0 if there is none before `stop`."""
    for at in range(start, stop, _LOOK):
        found = bytes(data[at : min(at + _LOOK, stop)]).find(b"\n")
        if found >= 0:
            return at + found + 1
    return 0
