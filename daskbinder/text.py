"""Text for people: untrusted names made safe to show, numbers, lists and CSV.

Data keep every name unchanged.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

EMPTY = "(empty)"

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that count as printable but show nothing."""


def visible(text: str) -> str:
    r"""Escape, as Python does, characters that control a terminal or cannot be seen.

    These are control characters, characters that change the text direction, lone surrogates, line
    separators and all spaces but the ordinary one.

    Examples
    --------
    >>> visible("a\x1b[2J\u202eb")
    'a\\x1b[2J\\u202eb'
    """
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable() and character not in _BLANK:
        return character
    return character.encode("unicode_escape").decode()


def readable(text: str, longest: int = 80) -> str:
    """Make a name visible on one line of at most `longest` characters.

    Examples
    --------
    >>> readable("jupyter/nbviewer"), readable(""), readable("x" * 100, 5)
    ('jupyter/nbviewer', '(empty)', 'xxxx…')
    """
    shown = visible(text.strip(" ")[: longest + 1]) or EMPTY
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def listing(names: Sequence[str], most: int = 10, *, longest: int = 80) -> str:
    """List names, each made readable; after the first `most`, only say how many more there are.

    Examples
    --------
    >>> listing(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(readable(name, longest) for name in names[:most]) + more


def plural(n: int, noun: str) -> str:
    """Write a count with its noun, singular or plural.

    Examples
    --------
    >>> plural(1, "day"), plural(1_305, "repository"), plural(2, "launch")
    ('1 day', '1,305 repositories', '2 launches')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}{'e' * noun.endswith('ch')}s"
    return f"{n:,} {noun if n == 1 else many}"


def number(value: float) -> str:
    """Write a number with thousands separators, and one decimal if it is below ten and not whole.

    Examples
    --------
    >>> number(26_033_365), number(1.25)
    ('26,033,365', '1.2')
    """
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:,.1f}"


def percent(share: float | None) -> str:
    """Write a share as a percentage, with two decimals below ten percent.

    Examples
    --------
    >>> percent(0.25), percent(0.0123), percent(None)
    ('25.0%', '1.23%', '–')
    """
    if share is None or share != share:  # NaN
        return "–"
    return f"{share:.1%}" if share >= 0.0995 or not share else f"{share:.2%}"


_ENDS = r";,\t\r\n"
"""Characters that may end a cell: not every spreadsheet respects commas and quotes."""
_UNSEEN = (
    r" \"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
"""Blanks, control characters and quotes, which a spreadsheet may strip before parsing a cell."""
_FORMULA = re.compile(rf"(?:\A|(?<=[{_ENDS}]))(?=[{_UNSEEN}]*[=+\-@＝＋－＠])|\A(?= *[\t\r\n])")
"""Where a spreadsheet may read what follows as a formula (OWASP, CSV Injection)."""
_END = "\r\n"


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV; text that a spreadsheet would read as a formula is prefixed with '."""
    lines: list[str] = []
    # csv quotes \r and \n only if they are in the line terminator
    target = SimpleNamespace(write=lambda line: lines.append(line.removesuffix(_END) + "\n"))
    writer = csv.writer(target, lineterminator=_END)
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return "".join(lines)


def _cell(value: Any) -> Any:
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
