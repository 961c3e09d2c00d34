"""The command line: a module a family of commands."""

from daskbinder.cli.commands import main

__all__ = ["main"]
