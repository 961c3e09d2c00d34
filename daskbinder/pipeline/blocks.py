"""How an archive is cut into tasks: blocks of bytes to read, and spans of months to bring together.

Calendar work and sums of sizes; reads nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, MINYEAR, date
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.reading import Part
from daskbinder.model.windows import window_of

_MOST_SPANS = 600
"""Parts of time whose counts meet, at most; of a longer archive, each holds several months."""

Start = tuple[date, int]
"""What tells a block from the others of a plan: the date of its first file, and where it starts."""


def cut_into_blocks(parts: Iterable[Part], size: int) -> Iterable[tuple[Part, ...]]:
    """Put parts of day files into blocks of about equal size, at most `size` bytes."""
    parts = list(parts)
    total = sum(part.stop - part.start for part in parts)
    target = total / max(-(-total // size), 1)
    block: list[Part] = []
    held = 0
    for part in parts:
        length = part.stop - part.start
        if block and (held + length > size or held >= target):
            yield tuple(block)
            block, held = [], 0
        block.append(part)
        held += length
    if block:
        yield tuple(block)


def start_of(block: Sequence[Part]) -> Start:
    """Tell a block from the others of a plan, by less than all that is in it."""
    return block[0].file.date, block[0].start


class Span(NamedTuple):
    """Whole months whose counts meet in one task."""

    first: date
    last: date

    @property
    def label(self) -> str:
        """Name of its first month."""
        return self.first.isoformat()[:7]


@cache
def span_of_month(month: int, months: int) -> Span:
    """Find the span of so many months that holds a month, counted from the year 0."""
    at = month // months * months
    calendar = [divmod(at + i, 12) for i in range(months)]
    inside = [date(year, month + 1, 1) for year, month in calendar if MINYEAR <= year <= MAXYEAR]
    return Span(inside[0], window_of("monthly", inside[-1]).last)


def months_together(files: Sequence[DayFile]) -> int:
    """How many months meet in one task: one, unless there were too many tasks."""
    if not files:
        return 1
    first, last = files[0].date, files[-1].date
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    return -(-months // _MOST_SPANS)


def digest(files: Iterable[DayFile]) -> str:
    """Tell day files as they were listed from any others; fast, for there may be a million."""
    hashed = blake2b(digest_size=16)
    for file in files:
        hashed.update(f"{file.name} {file.size} {file.fingerprint_text}\n".encode())
    return hashed.hexdigest()
