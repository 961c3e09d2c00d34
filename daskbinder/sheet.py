"""CSV that is safe to open in a spreadsheet, whatever strangers wrote."""

import csv
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

_ENDS = r";,\t\r\n"
"""What may end a cell: not every spreadsheet takes a comma, nor quotes, for what they are here."""
_UNSEEN = (
    r" \"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
"""Blanks, controls and quotes: a spreadsheet may drop them before it looks at a cell."""
_FORMULA = re.compile(rf"(?:\A|(?<=[{_ENDS}]))(?=[{_UNSEEN}]*[=+\-@＝＋－＠])|\A(?= *[\t\r\n])")
"""Where a spreadsheet may take what follows for a formula (OWASP, CSV Injection)."""
_END = "\r\n"


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV; text that a spreadsheet would take for a formula gets a ' before it."""
    lines: list[str] = []
    # of \r and \n csv quotes only what itself ends lines with
    target = SimpleNamespace(write=lambda line: lines.append(line.removesuffix(_END) + "\n"))
    writer = csv.writer(target, lineterminator=_END)
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return "".join(lines)


def _cell(value: Any) -> Any:
    return _FORMULA.sub("'", value) if isinstance(value, str) else value
