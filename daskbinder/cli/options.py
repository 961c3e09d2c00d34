"""Options that several commands share, and what they accept."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import click

from daskbinder._version import __version__
from daskbinder.cli.output import sentence
from daskbinder.redaction import StorageOptions

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Date(click.DateTime):
    """A date, and not the midnight it begins with."""

    def convert(self, *given: Any) -> Any:
        """Read YYYY-MM-DD."""
        return super().convert(*given).date()


class _Text(click.types.StringParamType):
    """Text to be compared with what is in a data set, in UTF-8 whatever the terminal is said to be.

    Python keeps bytes that it cannot read as halves of characters, which nothing else takes.
    """

    def convert(self, *given: Any) -> Any:
        """Read the bytes that were given."""
        text: str = super().convert(*given)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


TEXT = _Text()
DATE = _Date(["%Y-%m-%d"])
FILE = click.Path(exists=True, dir_okay=False)


def _read_storage_options(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> StorageOptions:
    options = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key.isidentifier() and equals):  # not said what: it may be a secret
            raise click.BadParameter("write KEY=VALUE")
        options[key] = read_value(key, value)
    return StorageOptions(options)


_SECRET = re.compile(r"token|key|secret|pass|pwd|user|auth|account|credential|sas|sig")
_OF_PYTHON = {"True": True, "False": False, "None": None}


def read_value(key: str, text: str) -> Any:
    """Read the value of a storage option: JSON or a constant of Python's if it is, else text.

    What a name says is a secret stays text though it looks like a number or ``true``, so that
    ``key=12345`` is no number; text in quotes is text, whatever the name.
    """
    if text in _OF_PYTHON:
        value = _OF_PYTHON[text]
    else:
        try:
            value = json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            return text
    is_number = isinstance(value, int | float)  # True and False too
    return text if is_number and _SECRET.search(key.lower()) else value


_LEVELS = logging.WARNING, logging.INFO, logging.DEBUG
_VERSIONS = "dask", "distributed", "pyarrow", "gcsfs", "fsspec"


class _Lines(logging.Handler):
    """Prints what is logged as lines between those of progress; names in it are strangers' text."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(sentence(self.format(record)), err=True)


def _log(ctx: click.Context, _param: click.Parameter, given: int) -> None:
    """Show the package's log on standard error while the command runs."""
    if not given:
        return
    lines, log = _Lines(), logging.getLogger("daskbinder")
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = log.level

    def end() -> None:
        log.removeHandler(lines)
        log.setLevel(before)

    log.addHandler(lines)
    log.setLevel(_LEVELS[min(given, len(_LEVELS) - 1)])
    ctx.call_on_close(end)


def verbose() -> click.Option:
    """Make the option that every command has."""
    return click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=_log,
        help="Log what is done: plan, blocks, retries, results; twice, each file written too.",
    )


def show_versions(ctx: click.Context, _param: click.Parameter, given: bool) -> None:
    """Print our version and those that decide what a run does, then stop."""
    if not given:
        return
    from importlib.metadata import version
    from platform import python_version

    click.echo(f"daskbinder {__version__}\npython {python_version()}")
    for name in _VERSIONS:
        click.echo(f"{name} {version(name)}")
    ctx.exit()


def date_range(of: str) -> Decorator:
    """Give the options for the first and the last of some days."""
    start = click.option("--start", type=DATE, metavar="DATE", help=f"First {of}, as YYYY-MM-DD.")
    end = click.option("--end", type=DATE, metavar="DATE", help=f"Last {of}, included.")
    return lambda function: start(end(function))


as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def storage_options(of: str) -> Decorator:
    """Give the option for the file systems of some arguments of a command."""
    return click.option(
        "--storage-option",
        "storage_options",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_read_storage_options,
        help=f"For the file system of {of}; VALUE is text or JSON; may be repeated.",
    )


def _read_instance(_ctx: click.Context, _param: click.Parameter, given: str | None) -> Any:
    from daskbinder.model.hub import MYBINDER, Instance

    return MYBINDER if given is None else Instance.load(given)


def instance(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the option for whose archive it is."""
    return click.option(
        "--instance",
        type=FILE,
        metavar="FILE",
        callback=_read_instance,
        help="Description of another BinderHub's archive (TOML) in place of mybinder.org's.",
    )(function)


def read_size(_ctx: click.Context, _param: click.Parameter, given: str | None) -> int | str | None:
    """Read a number of bytes, such as 64MiB."""
    from dask.utils import parse_bytes

    if given in (None, "auto"):
        return given
    try:
        size = parse_bytes(given)
    except ValueError as error:
        raise click.BadParameter(f"{given!r} is no size; write it as 64MiB") from error
    if size < 1:
        raise click.BadParameter(f"at least one byte is needed, not {given!r}")
    return size


def read_bounds(
    _ctx: click.Context, _param: click.Parameter, given: str | None
) -> tuple[int, int] | None:
    """Read MIN:MAX."""
    if given is None:
        return None
    least, _, most = given.partition(":")
    if not (least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise click.BadParameter(f"write MIN:MAX, at least 1 and not falling, not {given!r}")
    return int(least), int(most)
