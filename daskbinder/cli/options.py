"""Options that several commands share, and the values they accept."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import click

from daskbinder._version import __version__
from daskbinder.cli.output import safe_message
from daskbinder.redaction import StorageOptions

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


class _Date(click.DateTime):
    """A date, where click would give a datetime at midnight."""

    def convert(self, *given: Any) -> Any:
        return super().convert(*given).date()


class _Text(click.types.StringParamType):
    """UTF-8 text, as in a data set, whatever the terminal's declared encoding.

    Python turns bytes that it cannot decode into lone surrogates, which nothing else accepts.
    """

    def convert(self, *given: Any) -> Any:
        text: str = super().convert(*given)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


TEXT = _Text()
DATE = _Date(["%Y-%m-%d"])
FILE = click.Path(exists=True, dir_okay=False)


def date_range(of: str) -> Decorator:
    """Add the options --start and --end."""
    start = click.option("--start", type=DATE, metavar="DATE", help=f"First {of}, as YYYY-MM-DD.")
    end = click.option("--end", type=DATE, metavar="DATE", help=f"Last {of}, included.")
    return lambda command: start(end(command))


def whole_number(*names: str, default: int, of: str, least: int = 1) -> Decorator:
    """Add an option for a whole number; `of` is its help text."""
    kind = click.IntRange(least)
    return click.option(*names, type=kind, default=default, show_default=True, metavar="N", help=of)


as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def _read_instance(_ctx: click.Context, _param: click.Parameter, given: str | None) -> Any:
    from daskbinder.model.hub import MYBINDER, Instance

    return MYBINDER if given is None else Instance.load(given)


instance = click.option(
    "--instance",
    type=FILE,
    metavar="FILE",
    callback=_read_instance,
    help="Description of another BinderHub's archive (TOML) in place of mybinder.org's.",
)


def storage_options(of: str) -> Decorator:
    """Add the option --storage-option; `of` names the arguments it applies to."""
    return click.option(
        "--storage-option",
        "storage_options",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_read_storage_options,
        help=f"For the file system of {of}; VALUE is text or JSON; may be repeated.",
    )


def _read_storage_options(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> StorageOptions:
    options = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key.isidentifier() and equals):  # not quoted: it may be a secret
            raise click.BadParameter("write KEY=VALUE")
        options[key] = read_value(key, value)
    return StorageOptions(options)


_SECRET = re.compile(r"token|key|secret|pass|pwd|user|auth|account|credential|sas|sig")
_CONSTANTS = {"True": True, "False": False, "None": None}


def read_value(key: str, text: str) -> Any:
    """Parse the value of a storage option: JSON or a Python constant if it is one, else text.

    A secret, judging by its key, stays text even if it looks like a number or ``true``. Quoted
    text is always text.
    """
    if text in _CONSTANTS:
        value = _CONSTANTS[text]
    else:
        try:
            value = json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            return text
    is_number = isinstance(value, int | float)  # True and False too
    return text if is_number and _SECRET.search(key.lower()) else value


def read_size(_ctx: click.Context, _param: click.Parameter, given: str | None) -> int | str | None:
    """Parse a number of bytes, such as 64MiB."""
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
    """Parse MIN:MAX."""
    if given is None:
        return None
    least, _, most = given.partition(":")
    if not (least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise click.BadParameter(f"write MIN:MAX, with 1 <= MIN <= MAX, not {given!r}")
    return int(least), int(most)


def verbose() -> click.Option:
    """Make the option --verbose, which every command has."""
    return click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=_show_log,
        help="Log the plan, blocks, retries and results; twice, each file written too.",
    )


class _LogLines(logging.Handler):
    """Prints the log on standard error; names in it may be untrusted text."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(safe_message(self.format(record)), err=True)


def _show_log(ctx: click.Context, _param: click.Parameter, given: int) -> None:
    """Show the package's log on standard error while the command runs."""
    if not given:
        return
    handler, log = _LogLines(), logging.getLogger("daskbinder")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = log.level

    def restore() -> None:
        log.removeHandler(handler)
        log.setLevel(before)

    log.addHandler(handler)
    log.setLevel(logging.INFO if given == 1 else logging.DEBUG)
    ctx.call_on_close(restore)


def show_versions(ctx: click.Context, _param: click.Parameter, given: bool) -> None:
    """Print our version and those of the main packages, then exit."""
    if not given:
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    click.echo(f"daskbinder {__version__}\npython {python_version()}")
    for name in ("dask", "distributed", "pyarrow", "gcsfs", "fsspec"):
        click.echo(f"{name} {version(name)}")
    try:
        click.echo(f"numba {version('numba')}")
    except PackageNotFoundError:
        click.echo("numba is not installed: large archives are counted more slowly")
    ctx.exit()
