"""Day files by the thousand lines: regular ones, and among them variations of lines drawn before.

Hypothesis draws a few lines with great care; this module makes many of them, quickly and from a
seed, so that a million can be compared with the oracle.
"""

import random
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from support.strategies import (
    LAYOUTS,
    SCRAPS,
    hostile_lines,
    laid_out,
    mutated_lines,
    odd_lines,
    regular_events,
)

SHARES = (0.0, 0.003, 0.03, 0.3, 1.0)
"""How many lines of a file are variations."""

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


def corpora(day: date) -> st.SearchStrategy[tuple[list[bytes], list[bytes]]]:
    """Draw regular lines of one layout, and lines of any kind."""
    layout = st.sampled_from([LAYOUTS[0], *LAYOUTS])
    usual = layout.flatmap(
        lambda one: st.lists(
            regular_events(day).map(lambda event: laid_out(event, one)), min_size=1
        )
    )
    odd = st.lists(odd_lines(day) | mutated_lines(day) | hostile_lines(day), min_size=4)
    return st.tuples(usual, odd)


class Writer:
    """Writes day files from a corpus and a seed."""

    def __init__(self, corpus: tuple[list[bytes], list[bytes]], seed: Any) -> None:
        self.usual, odd = corpus
        self.pool = [*self.usual, *odd]
        self.chance = random.Random(seed)

    def body(self, day: date, lines: int) -> bytes:
        """Make the bytes of a file of about so many lines."""
        share = self.chance.choice(SHARES)
        end = self.chance.choice([b"\n", b"\n", b"\n", b"\r\n"])
        made = [
            self.vary(day) if self.chance.random() < share else self.restamp(self._usual(), day)
            for _ in range(lines)
        ]
        return end.join(made) + self.chance.choice([end, b""])

    def _usual(self) -> bytes:
        return self.chance.choice(self.usual)

    def restamp(self, line: bytes, day: date) -> bytes:
        """Give a regular line another minute of its day."""
        hour, minute = divmod(self.chance.randrange(1440), 60)
        return _STAMP.sub(f"{day}T{hour:02}:{minute:02}:00+00:00".encode(), line, count=1)

    def vary(self, day: date) -> bytes:
        """Change a line a little, so that it may be a launch, a similar one or none."""
        near = day + timedelta(days=self.chance.choice([0, 0, 0, 0, -1, 1, 2]))
        line = self.restamp(self.chance.choice(self.pool), near)
        for _ in range(self.chance.choice([0, 1, 1, 1, 2, 3])):
            line = self.chance.choice(CHANGES)(self, line)
        return line

    def swap_piece(self, line: bytes) -> bytes:
        """Put what stands between two quotes of another line in place of a piece of this one."""
        pieces, others = line.split(b'"'), self.chance.choice(self.pool).split(b'"')
        pieces[self.chance.randrange(len(pieces))] = self.chance.choice(others)
        return b'"'.join(pieces)

    def splice(self, line: bytes) -> bytes:
        """Go on with the end of another line at a comma."""
        pieces, others = line.split(b","), self.chance.choice(self.pool).split(b",")
        at = self.chance.randrange(len(pieces))
        return b",".join(pieces[:at] + others[self.chance.randrange(len(others)) :])

    def move_field(self, line: bytes) -> bytes:
        """Exchange two pieces between commas."""
        pieces = line.split(b",")
        a, b = (self.chance.randrange(len(pieces)) for _ in range(2))
        pieces[a], pieces[b] = pieces[b], pieces[a]
        return b",".join(pieces)

    def repeat_field(self, line: bytes) -> bytes:
        """Say a piece between commas once more elsewhere."""
        pieces = line.split(b",")
        pieces.insert(self.chance.randrange(len(pieces) + 1), self.chance.choice(pieces))
        return b",".join(pieces)

    def put_scrap(self, line: bytes) -> bytes:
        """Put in, or in place of a byte, what matters somewhere."""
        at = self.chance.randrange(len(line) + 1)
        return line[:at] + self.chance.choice(SCRAPS) + line[at + self.chance.choice([0, 1]) :]

    def change_byte(self, line: bytes) -> bytes:
        """Flip one bit."""
        if not line:
            return line
        at = self.chance.randrange(len(line))
        return line[:at] + bytes([line[at] ^ 1 << self.chance.randrange(8)]) + line[at + 1 :]

    def change_digit(self, line: bytes) -> bytes:
        """Change a digit: of the version, the time, a name."""
        digits = [found.start() for found in re.finditer(rb"\d", line)]
        if not digits:
            return line
        at = self.chance.choice(digits)
        return line[:at] + b"%d" % self.chance.randrange(10) + line[at + 1 :]

    def escape(self, line: bytes) -> bytes:
        """Write a plain letter as its code."""
        at = self.chance.randrange(len(line) + 1)
        if not line[at : at + 1].isalnum():
            return line
        return line[:at] + b"\\u%04x" % line[at] + line[at + 1 :]

    def respace(self, line: bytes) -> bytes:
        """Take the spaces out, or put some in."""
        a, b = self.chance.choice(
            [(b": ", b":"), (b", ", b","), (b'":', b'" :'), (b'",', b'" \t,'), (b"{", b"{ ")]
        )
        return line.replace(a, b, self.chance.choice([1, -1]))

    def cut(self, line: bytes) -> bytes:
        """Lose the end or the start."""
        at = self.chance.randrange(len(line) + 1)
        return self.chance.choice([line[:at], line[at:]])


CHANGES: Sequence[Any] = (
    Writer.swap_piece,
    Writer.swap_piece,
    Writer.splice,
    Writer.move_field,
    Writer.repeat_field,
    Writer.put_scrap,
    Writer.change_byte,
    Writer.change_digit,
    Writer.change_digit,
    Writer.escape,
    Writer.respace,
    Writer.cut,
)
