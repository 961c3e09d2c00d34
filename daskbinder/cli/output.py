"""What commands print: names that strangers chose are safe on a terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from daskbinder.text import readable, visible, write_csv

_LONGEST = 200
"""Signs of a name that a table shows; --json and --csv have all of it."""


def print_json(answer: Any) -> None:
    """Print a value as JSON, for programs."""
    click.echo(json.dumps(answer, default=str, indent=1))


def sentence(text: object) -> str:
    """Write a message, which may quote strangers; none of them begins a line of its own."""
    return "\n  ".join(map(visible, str(text).split("\n")))


def print_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as CSV that is safe to open in a spreadsheet, and to look at on a terminal."""
    text = write_csv(columns, ([row[name] for name in columns] for row in rows))
    if sys.stdout.isatty():
        text = "".join(f"{visible(line)}\n" for line in text.split("\n")[:-1])
    click.echo(text, nl=False, color=True)  # or it cuts from names what looks like a colour


def print_table(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, header: bool = True
) -> None:
    """Print rows for people; what strangers wrote is safe on a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=header, padding=(0, 2, 0, 0), header_style="bold")
    numbers = {name for name in columns if any(isinstance(row[name], int | float) for row in rows)}
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=name in numbers,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(_shown(name, row[name])) for name in columns))
    Console().print(table)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:+.1%}" if name == "change" else f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else readable(str(value), _LONGEST)
