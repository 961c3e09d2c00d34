"""How an archive is cut into blocks, one per reading task. Works on file sizes; reads no data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from itertools import chain, groupby

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.reading import Part, parts_of
from daskbinder.model.dates import DateSet
from daskbinder.model.windows import Window, window_of, windows_of

MAX_BLOCKS = 6_000
"""Most blocks in a run. Blocks of a larger archive grow, but a task holds no more at a time."""

Block = tuple[Part, ...]
"""The parts of day files that one task reads."""


@dataclass(frozen=True)
class BlockLayout:
    """The blocks of a run, by month of their day files; no block spans two months."""

    by_month: Mapping[Window, tuple[Block, ...]]

    @classmethod
    def of(
        cls, files: Sequence[DayFile], blocksize: int, max_blocks: int = MAX_BLOCKS
    ) -> "BlockLayout":
        """Cut files, sorted by date, into blocks of about `blocksize` bytes."""
        size = max(blocksize, sum(file.size for file in files) // max_blocks)
        months = groupby(files, key=lambda file: file.date.replace(day=1))
        return cls(
            {
                window_of("monthly", first): tuple(
                    cut_into_blocks(parts_of(of_month, blocksize), size)
                )
                for first, of_month in months
            }
        )

    @property
    def blocks(self) -> Iterator[Block]:
        """All blocks, in file order."""
        return chain.from_iterable(self.by_month.values())

    def near(self, month: Window, margin: int) -> list[Block]:
        """Blocks of a month and of the `margin` days before and after it."""
        reach = DateSet.of([month.first, month.last]).widened(margin, margin).spans
        first, last = reach[0][0], reach[-1][1]
        return [
            block
            for one in windows_of("monthly", [first, month.first, last])
            for block in self.by_month.get(one, ())
            if first <= block[-1].file.date and block[0].file.date <= last
        ]


def cut_into_blocks(parts: Iterable[Part], size: int) -> Iterator[Block]:
    """Group parts of day files into blocks of roughly equal size, at most `size` bytes."""
    parts = list(parts)
    total = sum(part.length for part in parts)
    target = total / max(-(-total // size), 1)
    block: list[Part] = []
    held = 0
    for part in parts:
        length = part.length
        if block and (held + length > size or held >= target):
            yield tuple(block)
            block, held = [], 0
        block.append(part)
        held += length
    if block:
        yield tuple(block)


def start_of(block: Block) -> tuple[date, int]:
    """Date and offset at which a block starts; unique within a plan."""
    return block[0].file.date, block[0].start


def digest(files: Iterable[DayFile]) -> str:
    """Checksum of a listing: the names, sizes and fingerprints of its day files."""
    hashed = blake2b(digest_size=16)
    for file in files:
        hashed.update(f"{file.name} {file.size} {file.fingerprint_text}\n".encode())
    return hashed.hexdigest()
