"""Lost day files: those that have lines but no launch, because they hold something else.

That may be a maintenance page, another encoding, or the file of another day. Counting it would show
a day without launches.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.reading import Part, decompress
from daskbinder.counting.scan import TEXT_KEPT, Body, Tally, scan
from daskbinder.errors import LostFiles
from daskbinder.model.dates import day_number
from daskbinder.model.launch import Reason
from daskbinder.redaction import line_without_secrets

_SHOWN = 60
"""Characters of a line that a message shows."""

_PIECE = 1 << 20


def by_file(
    tallies: Iterable[Iterable[tuple[Part, Tally]]],
) -> Iterator[tuple[DayFile, list[tuple[Part, Tally]]]]:
    """Group tallies by file, files by date and the tallies of each in the order of its lines."""
    flat = (pair for block in tallies for pair in block)
    ordered = sorted(flat, key=lambda pair: (pair[0].file.date, pair[0].start))
    for file, pairs in groupby(ordered, key=lambda pair: pair[0].file):
        yield file, list(pairs)


def refuse_losses(tallies: Iterable[Iterable[tuple[Part, Tally]]]) -> None:
    """Raise `LostFiles` with all files that have no launch and all of whose parts are given."""
    lost = {}
    for file, pairs in by_file(tallies):
        if sum({part.start: part.length for part, _ in pairs}.values()) == file.size:
            why = _loss(file, [tally for _, tally in pairs])
            if why is not None:
                lost[file.name] = why
    if lost:
        raise LostFiles(lost)


def look_for_launch(file: DayFile, data: bytes | memoryview) -> tuple[bool, str | None]:
    """Tell whether a file with these bytes holds a launch, and why it is lost if it is.

    Of a good file, little more than the first launch is read. Launches of unknown schema versions
    count too: a copy need not understand them.

    Raises
    ------
    LostFiles
        When the file is incomplete gzip.
    """
    tallies = []
    for piece in decompress(Part(file, 0, file.size), data, _PIECE):
        for lines in _steps(bytes(piece)):
            tallies += scan([Body(file.name, day_number(file.date), lines)]).tallies
            if tallies[-1].accepted or tallies[-1].rejected[Reason.UNKNOWN_VERSION]:
                return True, None
    return False, _loss(file, tallies)


def _steps(lines: bytes) -> Iterator[bytes]:
    """Cut lines into pieces of whole lines."""
    start = 0
    while start < len(lines):
        stop = lines.find(b"\n", start + _PIECE) + 1 or len(lines)
        yield lines[start:stop]
        start = stop


def _loss(file: DayFile, tallies: Sequence[Tally]) -> str | None:
    """Say why a file is lost, by its first line; None if it has a launch or no line."""
    if any(tally.accepted for tally in tallies):
        return None
    above = 0
    for tally in tallies:
        if tally.records:
            index, reason, text = min(tally.records)
            text = line_without_secrets(text, cut=len(text) >= TEXT_KEPT)[:_SHOWN]
            advice = "see what there is in its place"
            if reason is Reason.UNKNOWN_VERSION:
                advice += ", or take that version with --accept-version"
            return (
                f"{file.name} ({file.size:,} bytes) has no launch in it: line {above + index + 1} "
                f"is {reason} and begins with {text!a}; {advice}"
            )
        above += tally.physical
    return None
