"""What commands print: names that strangers chose are safe on a terminal."""

import json
from typing import Any

import click


def print_json(answer: Any) -> None:
    """Print a value as JSON, for programs."""
    click.echo(json.dumps(answer, default=str, indent=1))


def shown(names: list[str], most: int = 5) -> str:
    """Names that strangers chose, safe on a terminal."""
    from rich.markup import escape

    safe = [printable(name[:80]) for name in names[:most]]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return escape(", ".join(safe)) + more


def printable(text: str) -> str:
    """Text without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else "?" for c in text)
