"""The verified bytes of day files, in parts that end at line ends.

Knows line ends and gzip, not the content of lines.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.packed import HEADER, NotWhole, is_packed, unpack
from daskbinder.errors import InputError, JobError, LostFiles
from daskbinder.storage.backend import Allocate
from daskbinder.storage.buffers import allocate_new
from daskbinder.storage.location import Location

Data = bytes | memoryview

_STEP = 1 << 20
_LOOK = 1 << 14

_MOST_PARTS = 1_000
"""Parts of a file, at most: a site may claim any size."""


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

    @property
    def length(self) -> int:
        """Bytes of the range."""
        return self.stop - self.start


def parts_of(files: Iterable[DayFile], size: int) -> Iterator[Part]:
    """Cut files larger than `size` bytes into parts, except those named like gzip files."""
    for file in files:
        cut = max(size, -(-file.size // _MOST_PARTS))
        step = file.size if file.compressed else min(cut, file.size)
        for start in range(0, max(file.size, 1), max(step, 1)):
            yield Part(file, start, min(start + step, file.size))


def read_lines(
    location: Location, parts: Sequence[Part], size: int, allocate: Allocate = allocate_new
) -> Iterator[tuple[Part, Data] | None]:
    """Read the lines of some parts: each part at once, or in pieces if it is compressed.

    Remote parts are fetched concurrently while the caller works on those that have arrived, about
    `size` bytes at a time; None says that the next has not arrived. Local files are read into the
    memory that `allocate` gives.

    Raises
    ------
    LostFiles
        When a file is not what was listed, even after reading it again.
    """
    if location.is_local:
        for part in parts:
            for lines in decompress(part, _fetch(location, part, allocate), size):
                yield part, lines
        return
    for part, coming in _fetch_ahead(location, parts, size):
        if not coming.done():
            yield None
        for lines in decompress(part, coming.result(), size):
            yield part, lines


def _fetch_ahead(
    location: Location, parts: Sequence[Part], size: int
) -> Iterator[tuple[Part, "Future[Data]"]]:
    """Fetch remote parts, up to `size` bytes of them, that which the caller has among them."""
    pool = _pool(location.concurrency)
    rest = deque(parts)
    coming: deque[tuple[Part, Future[Data]]] = deque()
    held = 0
    try:
        while rest or coming:
            while rest and (not coming or held + rest[0].length <= size):
                held += rest[0].length
                coming.append((rest[0], pool.submit(_fetch, location, rest.popleft())))
            part, future = coming.popleft()
            yield part, future
            held -= part.length
    finally:
        for _, future in coming:
            future.cancel()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that fetch for all tasks of this process.

    Sharing them queues the tasks: one counts while the bytes of the next arrive. If each task had
    its own threads, all would share the link, wait together and then count together.
    """
    return ThreadPoolExecutor(threads, "daskbinder-fetch")


def read_part(location: Location, part: Part, size: int) -> Iterator[Data]:
    """Read the lines of a part: about `size` bytes at a time if compressed, else all at once.

    Raises
    ------
    LostFiles
        When the file is not what was listed, even after reading it again.
    """
    return decompress(part, _fetch(location, part), size)


def find_lost(location: Location, parts: Sequence[Part]) -> dict[str, str]:
    """Try to read each part; return the names of the files that cannot be read, and why."""

    def reason(part: Part) -> dict[str, str]:
        try:
            for _ in read_part(location, part, _STEP):
                pass
        except LostFiles as error:
            return error.files
        return {}

    with ThreadPoolExecutor(location.concurrency) as pool:
        return {name: why for lost in pool.map(reason, parts) for name, why in lost.items()}


def decompress(part: Part, data: Data, size: int) -> Iterator[Data]:
    """Yield the lines of a part: of a gzip file about `size` bytes at a time, else as they are.

    Raises
    ------
    LostFiles
        When it is an incomplete gzip file.
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


def _fetch(location: Location, part: Part, allocate: Allocate = allocate_new) -> Data:
    """Fetch a whole file as it is, or a part from line end to line end.

    All lines of a gzip file belong to its first part.
    """
    file = part.file
    try:
        if file.refused:
            raise location.refusal(file.name)
        if part.whole:
            return location.fetch(file, allocate=allocate)
        if is_packed(location.fetch_range(file, 0, min(HEADER, file.size))):
            return b"" if part.start else location.fetch(file, allocate=allocate)
        return _fetch_lines(location, part, allocate)
    except (InputError, JobError) as error:
        raise LostFiles({file.name: str(error)}) from error
    except OSError as error:
        why = f"{location}/{file.name} cannot be read: {error.strerror or error}"
        raise LostFiles({file.name: why}) from error


def _fetch_lines(location: Location, part: Part, allocate: Allocate) -> Data:
    file, size = part.file, part.file.size
    first = max(part.start - 1, 0)
    end = min(part.stop + _STEP, size)
    data = memoryview(location.fetch_range(file, first, end, allocate=allocate))
    inside = part.stop - first
    start = _line_end(data, 0, inside) if part.start else 0
    if start == inside or (part.start and not start):  # no line starts here
        return b""
    stop = _line_end(data, inside - 1, len(data))
    if stop or end == size:
        return data[start : stop or len(data)]
    pieces = [bytes(data[start:])]
    while not stop and end < size:
        data = memoryview(location.fetch_range(file, end, min(end + _STEP, size)))
        stop = _line_end(data, 0, len(data))
        pieces.append(bytes(data[: stop or len(data)]))
        end += len(data)
    return b"".join(pieces)


def _line_end(data: memoryview, start: int, stop: int) -> int:
    """End of the first line that ends at or after `start`; 0 if none does before `stop`."""
    for at in range(start, stop, _LOOK):
        end = bytes(data[at : min(at + _LOOK, stop)]).find(b"\n")
        if end >= 0:
            return at + end + 1
    return 0
