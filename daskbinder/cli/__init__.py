"""The command line, with one module per family of commands."""

from daskbinder.cli.commands import main

__all__ = ["main"]
