"""What commands print: names that strangers chose are safe on a terminal."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from daskbinder.sheet import write_csv


def print_json(answer: Any) -> None:
    """Print a value as JSON, for programs."""
    click.echo(json.dumps(answer, default=str, indent=1))


def shown(names: list[str], most: int = 5) -> str:
    """Names that strangers chose, safe on a terminal, also as markup."""
    from rich.markup import escape

    return escape(listed(names, most))


def listed(names: list[str], most: int = 5) -> str:
    """Names that strangers chose, without what a terminal would take for a command."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(printable(name[:80]) for name in names[:most]) + more


def printable(text: str) -> str:
    """Text without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else "?" for c in text)


def print_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as CSV that is safe to open in a spreadsheet."""
    click.echo(write_csv(columns, ([row[name] for name in columns] for row in rows)), nl=False)


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
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
