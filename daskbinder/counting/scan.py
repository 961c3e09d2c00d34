"""From bytes to launches: what each line of some day files is, and why lines were rejected.

`daskbinder.counting.kernel` decides nearly all lines at once; the rest are read here one by one, by
the rules of `daskbinder.model.launch`. Opens no file and knows nothing of Dask.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.codes import Ints, distinct
from daskbinder.counting.kernel import decide, make_splitter
from daskbinder.counting.templates import join_tables, launch_table
from daskbinder.model.launch import HOUR, VERSIONS, Launch, Reason, read_line

REJECTS_KEPT = 100
"""Rejected lines recorded one by one for each reason and file; the rest share one record."""

TEXT_KEPT = 200
"""Bytes of a rejected line that are recorded."""


@dataclass(frozen=True)
class Body:
    """Whole lines of a day file: all of them, or those of a byte range.

    Attributes
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
        All lines, blank ones included.
    accepted : int
        Lines that count as launches.
    hours : int
        Bit h is set if an accepted line falls into hour h of the file's own date.
    strays : bool
        Whether any accepted line falls on another date.
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
        """Count a rejected line, and record it unless enough of its reason are."""
        self.rejected[reason] += 1
        if self.rejected[reason] <= REJECTS_KEPT + 1:
            text = line[:TEXT_KEPT].decode(errors="backslashreplace")
            self.records.append((index, reason, text))

    def accept(self, times: npt.NDArray[np.int64], time: Ints) -> None:
        """Count accepted lines, given by the index of each line's timestamp in `times`."""
        self.accepted = len(time)
        seen = np.zeros(len(times), np.bool_)
        seen[time] = True
        for hour in np.unique(times[seen] // HOUR - self.day * 24).tolist():
            if 0 <= hour < 24:
                self.hours |= 1 << hour
            else:
                self.strays = True


@dataclass(frozen=True)
class Scan:
    """The accepted lines of some bodies, in order.

    Attributes
    ----------
    times : ndarray of int64, shape (times,)
        The timestamps, in microseconds from 1970-01-01 UTC.
    time : ndarray of int, shape (lines,)
        Index in `times` of each line.
    launches : pyarrow.Table
        The launches, with `daskbinder.model.launch.COLUMNS`, text as ``dictionary<int32, string>``.
    launch : ndarray of int64, shape (lines,)
        Row of `launches` of each line.
    tallies : list of Tally
        One per body; line i belongs to the body whose ``accepted`` covers it.
    bytes : int
        Bytes of all bodies.
    """

    times: npt.NDArray[np.int64]
    time: Ints
    launches: pa.Table
    launch: Ints
    tallies: list[Tally]
    bytes: int


class Scanner:
    """Reads bodies one after the other, each only while it is added.

    Parameters
    ----------
    versions : frozenset of int
        The schema versions that are accepted.
    compiled : bool
        Whether to split lines by compiled code.
    """

    def __init__(self, versions: frozenset[int] = VERSIONS, *, compiled: bool = False) -> None:
        self.versions = versions
        self.tallies: list[Tally] = []
        self._splitter = make_splitter(compiled=compiled)
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, approximately."""
        return self._splitter.nbytes

    def add(self, body: Body) -> None:
        """Read the lines of a body. Nothing refers to its data afterwards."""
        physical = self._splitter.add(body.data)
        self.tallies.append(Tally(body.name, body.day, physical=physical))
        self._bytes += len(body.data)

    def scan(self) -> Scan:
        """Tell what the lines of all bodies are."""
        split, tallies = self._splitter.split(), self.tallies
        sizes = [tally.physical for tally in tallies]
        fast = decide(split, sizes, [tally.day for tally in tallies], self.versions)
        time, launch = fast.time, fast.launch
        undecided = np.flatnonzero(launch < 0)
        times: dict[int, int] = {}
        launches: dict[Launch, int] = {}
        for row, tally, index in _owners(tallies, undecided):
            line = split.line(row)
            read = read_line(line, tally.day, self.versions)
            if isinstance(read, Reason):
                tally.reject(index, read, line)
            elif read is not None:
                time[row] = times.setdefault(read[0], len(fast.times) + len(times))
                launch[row] = launches.setdefault(read[1], len(fast.launches) + len(launches))

        all_times = np.concatenate([fast.times, np.fromiter(times, np.int64)])
        stop = 0
        for tally in tallies:
            start, stop = stop, stop + tally.physical
            of_body = time[start:stop]
            tally.accept(all_times, of_body[launch[start:stop] >= 0] if len(undecided) else of_body)
        if len(undecided):  # some times may be those of rejected lines, or invalid
            used, time = distinct(time[launch >= 0])
            all_times, launch = all_times[used], launch[launch >= 0]
        table = fast.launches
        if launches:
            table = join_tables([table, launch_table([*launches])])
        return Scan(all_times, time, table, launch, tallies, self._bytes)


def scan(
    bodies: Iterable[Body], versions: frozenset[int] = VERSIONS, *, compiled: bool = False
) -> Scan:
    """Read every line of some bodies, accepting these schema versions."""
    scanner = Scanner(versions, compiled=compiled)
    for body in bodies:
        scanner.add(body)
    return scanner.scan()


def _owners(tallies: Sequence[Tally], rows: Ints) -> Iterator[tuple[int, Tally, int]]:
    """Some of the lines of all bodies, each with the tally of its body and its index there."""
    stops = np.cumsum([tally.physical for tally in tallies])
    for row, body in zip(rows.tolist(), np.searchsorted(stops, rows, "right"), strict=True):
        tally = tallies[body]
        yield row, tally, row - int(stops[body]) + tally.physical
