"""What commands print: tables, CSV, JSON and messages, with untrusted names made safe."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from daskbinder.text import readable, visible, write_csv

_LONGEST = 200
"""Longest name, in characters, that a table shows; --json and --csv keep it whole."""

Rows = Sequence[Mapping[str, Any]]


def safe_message(text: object) -> str:
    """Make a message that may quote untrusted text safe to print; later lines are indented."""
    return "\n  ".join(map(visible, str(text).split("\n")))


def print_json(answer: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(answer, default=str, indent=1))


def print_csv(columns: Sequence[str], rows: Rows) -> None:
    """Print rows as CSV that is safe to open in a spreadsheet and to view on a terminal."""
    text = write_csv(columns, ([row[name] for name in columns] for row in rows))
    if sys.stdout.isatty():
        text = "".join(f"{visible(line)}\n" for line in text.split("\n")[:-1])
    # without color=True, click would strip whatever looks like a colour code from names
    click.echo(text, nl=False, color=True)


def print_table(columns: Sequence[str], rows: Rows) -> None:
    """Print rows below a header; numbers are right-aligned, floats are shares."""
    _print_columns(columns, [[row[name] for name in columns] for row in rows], is_table=True)


def print_facts(facts: Mapping[str, str | int]) -> None:
    """Print names and values, one pair per line."""
    _print_columns(["name", "value"], list(facts.items()), is_table=False)


def _print_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]], is_table: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=is_table, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        is_label = not is_table and number == 0
        is_numeric = any(isinstance(row[number], int | float) for row in rows)
        table.add_column(
            name,
            justify="right" if is_numeric else "left",
            no_wrap=is_numeric or is_label,
            overflow="fold",
            style="bold" if is_label else "",
        )
    for row in rows:
        cells = (_cell(name, value) for name, value in zip(columns, row, strict=True))
        table.add_row(
            *(Text(readable(cell, _LONGEST) if is_table else visible(cell)) for cell in cells)
        )
    Console().print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:+.1%}" if name == "change" else f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
