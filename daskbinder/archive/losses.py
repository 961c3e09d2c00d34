"""Day files that have lines and no launch: something else came, or lies, in their place.

A maintenance page, another encoding, a file of another day. To count them would be to say that
nobody launched anything that day.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from daskbinder.archive.dayfiles import DayFile, Part, pieces
from daskbinder.counting.scan import TEXT_KEPT, Body, Tally, scan
from daskbinder.errors import LostFiles
from daskbinder.model.dates import day_number
from daskbinder.model.launch import VERSIONS, Reason
from daskbinder.redaction import line_without_secrets

_SHOWN = 60
"""Signs of a line that a sentence shows."""

_PIECE = 1 << 20


def by_file(
    tallies: Iterable[Iterable[tuple[Part, Tally]]],
) -> Iterable[tuple[DayFile, list[tuple[Part, Tally]]]]:
    """Tallies of each file, files by date and the tallies in the order of its lines."""
    flat = sorted((pair for block in tallies for pair in block), key=_place_of_part)
    for file, pairs in groupby(flat, key=lambda pair: pair[0].file):
        yield file, list(pairs)


def _place_of_part(pair: tuple[Part, Tally]) -> tuple[DayFile, int]:
    return pair[0].file, pair[0].start


def refuse_losses(tallies: Iterable[Iterable[tuple[Part, Tally]]]) -> None:
    """Raise if a file, of which all parts are there, has no launch in it.

    Raises
    ------
    LostFiles
        With all such files.
    """
    lost = {}
    for file, pairs in by_file(tallies):
        if sum({part.start: part.stop - part.start for part, _ in pairs}.values()) == file.size:
            why = _loss(file, [tally for _, tally in pairs])
            if why is not None:
                lost[file.name] = why
    if lost:
        raise LostFiles(lost)


def look_for_launch(file: DayFile, data: bytes | memoryview) -> tuple[bool, str | None]:
    """Tell whether a file of these bytes holds a launch, and why not if it has lines.

    Of a good file, little more is read than the first launch. One of a schema's version that is
    not known yet is one too: a copy need not understand it.

    Raises
    ------
    LostFiles
        When it is gzip and not whole.
    """
    tallies = []
    for lines in pieces(Part(file, 0, file.size), data, _PIECE):
        for start, stop in _steps(lines):
            tallies += scan(
                [Body(file.name, day_number(file.date), lines[start:stop])], VERSIONS
            ).tallies
            if tallies[-1].accepted or tallies[-1].rejected[Reason.UNKNOWN_VERSION]:
                return True, None
    return False, _loss(file, tallies)


def _steps(lines: bytes | memoryview) -> Iterable[tuple[int, int]]:
    """Bounds of runs of whole lines."""
    lines = bytes(lines)
    start = 0
    while start < len(lines):
        stop = lines.find(b"\n", start + _PIECE) + 1 or len(lines)
        yield start, stop
        start = stop


def _loss(file: DayFile, tallies: Sequence[Tally]) -> str | None:
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
    return None  # blank lines are no lines
