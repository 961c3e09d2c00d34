"""The command line: which commands there are, and how each ends.

A command is flags in, a call of the Python interface, an exit code out; they are in
`daskbinder.commands`. Everything heavy is imported when a command runs, so that ``--help`` is
instant.
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
from daskbinder.cli.output import sentence
from daskbinder.cli.pages import explore, report
from daskbinder.cli.run import demo, run
from daskbinder.cluster.settings import explain_config_errors
from daskbinder.errors import InputError, JobError
from daskbinder.redaction import scrub

logging.getLogger("asyncio").addHandler(logging.NullHandler())  # of sessions that never opened

_LAST_SECONDS = 2.0
"""Seconds that a stopped command has to end."""

_UNREAD = 128 + 13
"""How a shell tells that a command was ended by SIGPIPE."""


class _Commands(click.Group):
    """Turns the errors a user can cause into one sentence and an exit status."""

    def main(self, *given: Any, **options: Any) -> Any:
        """Run a command; what it prints is borne by any terminal, and by a reader that leaves."""
        with _forgiving(sys.stdout), _forgiving(sys.stderr), _ended_unread():
            return super().main(*given, **options)

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        """Read what was given; help is printed here."""
        with _ended_unread():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and tell how it ended."""
        with _ended_unread():
            return self._tell_end(ctx)

    def _tell_end(self, ctx: click.Context) -> Any:
        try:
            with _stopped_by_signals(), explain_config_errors():
                return super().invoke(ctx)
        except (InputError, JobError) as error:
            click.echo(f"daskbinder: {sentence(error)}", err=True)
            ctx.exit(2 if isinstance(error, InputError) else 1)
        except BrokenPipeError:
            raise
        except OSError as error:
            said, status = str(error), 1
            if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
                said = f"{error.filename} cannot be a folder, a file is in the way; name another"
                status = 2
            click.echo(f"daskbinder: {sentence(said)}", err=True)
            ctx.exit(status)
        except click.UsageError as error:  # it quotes what was given
            raise click.UsageError(sentence(scrub(error.format_message())), error.ctx) from None
        except _Stopped as stopped:
            click.echo("daskbinder: stopped; run again to finish", err=True)
            code = 128 + stopped.signal
            # Python waits for its threads, and one may wait for a server that never answers
            last = threading.Timer(_LAST_SECONDS, os._exit, [code])
            last.daemon = True
            last.start()
            ctx.exit(code)


@contextmanager
def _forgiving(stream: Any) -> Iterator[None]:
    """Let a stream write what it can of each text, and end in silence when it can write no more."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        try:
            stream.flush()
        except OSError:  # Python tries again at its end, and would complain
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def _ended_unread() -> Iterator[None]:
    """End as programs do when nobody reads what they print; click and Rich would end with 1."""
    try:
        yield
    except BrokenPipeError:
        raise SystemExit(_UNREAD) from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # of Rich
            raise SystemExit(_UNREAD) from None
        raise


class _Stopped(KeyboardInterrupt):
    """The user or the system asked to stop."""

    def __init__(self, number: int) -> None:
        self.signal = number


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Raise `_Stopped` at the first SIGINT or SIGTERM; the second ends the process."""

    def stop(number: int, _frame: object) -> None:
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        raise _Stopped(number)

    both = signal.SIGINT, signal.SIGTERM
    before = {one: signal.getsignal(one) for one in both if signal.getsignal(one) != signal.SIG_IGN}
    for one in before:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


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
    help="Show the versions that matter and exit.",
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
