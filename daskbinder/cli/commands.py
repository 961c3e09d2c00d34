"""The command line: its commands, their errors and exit statuses.

A command turns options into a call of the Python interface, and the result into text and an exit
status. Heavy modules are imported only when a command runs, so that ``--help`` is instant.
"""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from daskbinder.cli.answers import export, members, repo, top
from daskbinder.cli.archives import info, sample, sync
from daskbinder.cli.check import check
from daskbinder.cli.options import show_versions, verbose
from daskbinder.cli.output import safe_message
from daskbinder.cli.pages import explore, report
from daskbinder.cli.run import demo, run
from daskbinder.cluster.settings import explain_config_errors
from daskbinder.errors import InputError, JobError
from daskbinder.redaction import scrub

logging.getLogger("asyncio").addHandler(logging.NullHandler())  # sessions that never opened

_GRACE = 2.0
"""Seconds that a stopped command has to exit."""

_BROKEN_PIPE = 128 + 13
"""Exit status that a shell reports for a command killed by SIGPIPE."""


class _Commands(click.Group):
    """Turns errors that a user can cause into one sentence and an exit status."""

    def main(self, *given: Any, **options: Any) -> Any:
        """Run a command, even if the reader of its output goes away."""
        with _tolerant(sys.stdout), _tolerant(sys.stderr), _exits_on_broken_pipe():
            return super().main(*given, **options)

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        """Parse the arguments; click prints help here."""
        with _exits_on_broken_pipe():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and report how it ended."""
        with _exits_on_broken_pipe():
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            with _stopped_by_signals(), explain_config_errors():
                return super().invoke(ctx)
        except (InputError, JobError) as error:
            _fail(ctx, error, 2 if isinstance(error, InputError) else 1)
        except BrokenPipeError:
            raise
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
                said = f"{error.filename} cannot be a folder, a file is in the way; name another"
                _fail(ctx, said, 2)
            _fail(ctx, error, 1)
        except click.UsageError as error:  # it quotes user input, which may hold secrets
            said = safe_message(scrub(error.format_message()))
            raise click.UsageError(said, error.ctx) from None
        except _Stopped as stopped:
            status = 128 + stopped.signal
            # Python joins its threads on exit, and one may wait for a server that never answers
            timer = threading.Timer(_GRACE, os._exit, [status])
            timer.daemon = True
            timer.start()
            _fail(ctx, "stopped; run again to finish", status)


def _fail(ctx: click.Context, why: object, status: int) -> None:
    click.echo(f"daskbinder: {safe_message(why)}", err=True)
    ctx.exit(status)


@contextmanager
def _tolerant(stream: Any) -> Iterator[None]:
    """Escape characters that a stream cannot encode, and discard output that nobody reads."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        try:
            stream.flush()
        except OSError:  # Python flushes again at exit, and would complain
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def _exits_on_broken_pipe() -> Iterator[None]:
    """Exit as if killed by SIGPIPE when the reader goes away; click and Rich would exit with 1."""
    try:
        yield
    except BrokenPipeError:
        raise SystemExit(_BROKEN_PIPE) from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Rich's
            raise SystemExit(_BROKEN_PIPE) from None
        raise


class _Stopped(KeyboardInterrupt):
    """The user or the system asked to stop."""

    def __init__(self, number: int) -> None:
        self.signal = number


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise `_Stopped` at the first SIGINT or SIGTERM; the second kills the process."""

    def stop(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise _Stopped(number)

    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    before = {each: handler for each, handler in handlers.items() if handler != signal.SIG_IGN}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_versions,
    help="Show our version and those of the main packages, and exit.",
)
def main() -> None:
    """Count every launch on mybinder.org.

    daskbinder reads the archive of launches and writes exact counts by hour and day, for every
    day, week and month, and the series of each federation member. Start with 'daskbinder demo'.
    """


for _command in (
    *(run, demo, sample, sync, check, info),
    *(top, repo, members, export),
    *(explore, report),
):
    _command.params.append(verbose())
    main.add_command(_command)
