"""The command line: flags in, a call of the Python interface, an exit code out.

Everything heavy is imported when a command runs, so that ``--help`` is instant.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daskbinder._version import __version__
from daskbinder.errors import InputError, JobError

if TYPE_CHECKING:
    from daskbinder.graph import Plan
    from daskbinder.job import Result
    from daskbinder.overview import Overview

_DATE = click.DateTime(["%Y-%m-%d"])
_LAST_SECONDS = 2.0
"""Seconds that a stopped command has to end."""


class _Commands(click.Group):
    """Turns the errors a user can cause into one sentence and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _stopped_by_signals():
                return super().invoke(ctx)
        except (InputError, JobError) as error:
            click.echo(f"daskbinder: {error}", err=True)
            ctx.exit(2 if isinstance(error, InputError) else 1)
        except OSError as error:
            click.echo(f"daskbinder: {error}", err=True)
            ctx.exit(1)
        except _Stopped as stopped:
            click.echo("daskbinder: stopped; run again to finish", err=True)
            code = 128 + stopped.signal
            # Python waits for its threads, and one may wait for a server that never answers
            last = threading.Timer(_LAST_SECONDS, os._exit, [code])
            last.daemon = True
            last.start()
            ctx.exit(code)


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
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Count every launch on mybinder.org.

    daskbinder reads the archive of launches and writes exact counts by hour and day, for every
    day, week and month, and the series of each federation member. Start with 'daskbinder demo'.
    """


def _storage_options(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    options = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"write KEY=VALUE, not {pair!r}")
        options[key] = value
    return options


def _size(_ctx: click.Context, _param: click.Parameter, given: str | None) -> int | str | None:
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


def _bounds(
    _ctx: click.Context, _param: click.Parameter, given: str | None
) -> tuple[int, int] | None:
    if given is None:
        return None
    least, _, most = given.partition(":")
    if not (least.isdecimal() and most.isdecimal() and 1 <= int(least) <= int(most)):
        raise click.BadParameter(f"write MIN:MAX, at least 1 and not falling, not {given!r}")
    return int(least), int(most)


_FILE = click.Path(exists=True, dir_okay=False)


@main.command(short_help="Count the launches of SOURCE into DEST.")
@click.argument("source", required=False)
@click.argument("dest", required=False)
@click.option("--start", type=_DATE, metavar="DATE", help="First file date, as YYYY-MM-DD.")
@click.option("--end", type=_DATE, metavar="DATE", help="Last file date, included.")
@click.option(
    "--window",
    "windows",
    multiple=True,
    type=click.Choice(["daily", "weekly", "monthly"]),
    help="Write only these windows; may be repeated.  [default: all]",
)
@click.option(
    "--by",
    "grains",
    multiple=True,
    type=click.Choice(["hour", "day"]),
    help="Write only these grains; may be repeated.  [default: both]",
)
@click.option(
    "--errors",
    type=click.Choice(["record", "raise"]),
    default="record",
    show_default=True,
    help="Record lines that cannot be used, or stop at the first.",
)
@click.option(
    "--compat",
    type=click.Choice(["notebook"]),
    help="Reproduce the rollups of the older pandas notebook instead.",
)
@click.option(
    "--federation",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of hosts and members (TOML) in place of the packaged one.",
)
@click.option(
    "--accept-version",
    "versions",
    multiple=True,
    type=int,
    metavar="N",
    help="Accept this schema version too; may be repeated.",
)
@click.option("--full", is_flag=True, help="Ignore what an earlier run left in DEST.")
@click.option("--dry-run", is_flag=True, help="Show what would be read and written, and stop.")
@click.option(
    "--blocksize",
    default="64MiB",
    show_default=True,
    metavar="SIZE",
    callback=_size,
    help="Bytes of the archive that one task reads.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask scheduler to run on, tcp:// or tls://.  [default: $DASK_SCHEDULER_ADDRESS, else "
    "this machine]",
)
@click.option("--tls-ca", type=_FILE, help="Certificate authority of the scheduler.")
@click.option("--tls-cert", type=_FILE, help="Certificate to show to the scheduler.")
@click.option("--tls-key", type=_FILE, help="Key of that certificate.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes on this machine.  [default: one, inside this process]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads a worker.  [default: all cores]")
@click.option(
    "--memory-limit",
    metavar="SIZE",
    callback=_size,
    help="Memory a worker.  [default: its share of the machine's]",
)
@click.option(
    "--cluster",
    metavar="SPEC",
    help="Cluster to start for the run: module.Class(name=value), or a YAML or TOML file of it.",
)
@click.option(
    "--adapt", metavar="MIN:MAX", callback=_bounds, help="Workers between which it adapts."
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long to wait for the first worker.  [default: 60]",
)
@click.option("--dashboard", is_flag=True, help="Say where Dask's dashboard is.")
@click.option(
    "--storage-option",
    "storage_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_storage_options,
    help="For the file systems of SOURCE and DEST; may be repeated.",
)
def run(**given: Any) -> None:
    """Count the launches of SOURCE into DEST.

    SOURCE is a folder, gs://, https:// or any fsspec URL, and so is DEST. With one argument it is
    DEST, and SOURCE is the public archive of mybinder.org.

    Ends with 0 when all is done, 2 when something given cannot be used, 1 when the job failed.
    A run that was stopped is finished by running again.
    """
    from daskbinder.archive import PUBLIC

    source, dest = given.pop("source"), given.pop("dest")
    if dest is None:
        source, dest = PUBLIC, source
    if dest is None:
        raise click.UsageError("Give DEST, the folder for the results.")
    _run(source, dest, **given)


@main.command(short_help="Make a small sample archive, count it and show what comes out.")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
def demo(folder: Path | None) -> None:
    """Make a small sample archive, count it and show what comes out.

    Needs no network. The archive lands in DIR/archive, the results in DIR/rollups; DIR is a new
    temporary folder by default.
    """
    import tempfile

    from daskbinder.place import Place
    from daskbinder.store import read_manifest

    folder = folder or Path(tempfile.mkdtemp(prefix="daskbinder-"))
    source, dest = folder / "archive", folder / "rollups"
    before = read_manifest(Place.at(dest))
    if before is not None and before.get("source") != Place.at(source).url:
        raise InputError(f"{dest} holds the results of {before.get('source')}; name another DIR")
    if not source.exists():
        _make_sample(source)
    result = _run(str(source), str(dest))
    _show_findings(result)
    click.echo(f"\nThe results are in {dest}. In Python:\n")
    click.echo("    import daskbinder")
    click.echo(f"    rollups = daskbinder.open({str(dest)!r})")
    click.echo('    rollups.load("weekly", by="day")')


def _make_sample(folder: Path) -> None:
    """Make a sample archive that is there as a whole or not at all."""
    import shutil
    import tempfile

    from daskbinder.sample import write_sample

    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_sample(unfinished / "archive", flaws=True)
        (unfinished / "archive").rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@main.command(short_help="Make an archive of any size from a seed.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--days", type=click.IntRange(1), default=30, show_default=True, metavar="N", help="Days."
)
@click.option(
    "--start",
    type=_DATE,
    default="2021-02-22",
    show_default=True,
    metavar="DATE",
    help="The first of them.",
)
@click.option(
    "--events-per-day",
    type=click.IntRange(1),
    default=20_000,
    show_default=True,
    metavar="N",
    help="Launches on an average day.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="The same seed makes the same bytes.",
)
@click.option("--flaws", is_flag=True, help="With some lines that cannot be used.")
def sample(out: Path, start: datetime, **given: Any) -> None:
    """Make an archive of any size in the folder OUT, from a seed.

    It has the shape of the real one: formats of all versions, few loud repositories and a long
    tail, weekends, federation members that come and go, missing days. No launch in it happened.
    """
    from daskbinder.sample import write_sample

    try:
        launches = write_sample(out, start=start.date(), **given)
    except ValueError as error:
        raise InputError(str(error)) from error
    click.echo(f"{launches:,} launches in {out}")


_SOURCE_OPTION = click.option(
    "--storage-option",
    "storage_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_storage_options,
    help="For the file system of SOURCE; may be repeated.",
)


@main.command(short_help="Bring a folder up to date with an archive.")
@click.argument("source", required=False)
@click.argument("folder", required=False, metavar="DIR")
@click.option("--start", type=_DATE, help="First file date to fetch.")
@click.option("--end", type=_DATE, help="Last file date to fetch.")
@click.option(
    "--delete", is_flag=True, help="Remove days SOURCE lacks, and take those that shrank."
)
@_SOURCE_OPTION
def sync(source: str | None, folder: str | None, **given: Any) -> None:
    """Bring the folder DIR up to date with SOURCE, to run from there.

    Only what changed is fetched, many files at a time; each is checked and comes whole or not at
    all, so a sync that was stopped goes on where it was. With one argument it is DIR, and SOURCE
    is the public archive of mybinder.org.
    """
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from daskbinder.archive import PUBLIC, Archive
    from daskbinder.mirror import sync as bring

    if folder is None:
        source, folder = PUBLIC, source
    if source is None or folder is None:
        raise click.UsageError("Give DIR, the folder for the day files.")
    dates = {bound: given[bound].date() for bound in ("start", "end") if given[bound]}
    archive = Archive(source, storage_options=given["storage_options"])
    total = sum(file.size for file in archive.select(**dates))
    console = Console(stderr=True)
    columns = DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(
        *Progress.get_default_columns()[:2],
        *columns,
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("syncing", total=total)
        mirror = bring(
            archive,
            folder,
            delete=given["delete"],
            progress=lambda size, _: bar.advance(task, size),
            **dates,
        )
    click.echo(
        f"{len(mirror.fetched):,} days fetched, {mirror.bytes:,} bytes; "
        f"{mirror.unchanged:,} days unchanged"
    )
    for names, what, done in (
        (mirror.gone, "no longer in SOURCE", "removed"),
        (mirror.shrunk, "smaller in SOURCE", "replaced"),
    ):
        if names:
            fate = done if mirror.deleted else "kept; --delete follows SOURCE"
            click.echo(f"{len(names):,} days {what} ({fate}): {_shown(list(names))}")


@main.command(short_help="Check what a run left in DEST.")
@click.argument("dest")
@click.argument("source", required=False)
@click.option("--start", type=_DATE, metavar="DATE", help="First file date to compare.")
@click.option("--end", type=_DATE, metavar="DATE", help="Last file date to compare.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option(
    "--storage-option",
    "storage_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_storage_options,
    help="For the file systems of DEST and SOURCE; may be repeated.",
)
def check(dest: str, source: str | None, as_json: bool, **given: Any) -> None:
    """Check what a run left in DEST: every file and every sum.

    With SOURCE its listing is compared too, from --start to --end as they were given to the run;
    no day file is read. Ends with 1 when there is a fault; unless it says otherwise, 'run --full'
    mends it. A note is no fault: it tells what the archive lacked.
    """
    import json
    from dataclasses import asdict

    from daskbinder.audit import check

    dates = {bound: given[bound].date() for bound in ("start", "end") if given[bound]}
    if dates and source is None:
        raise click.UsageError("Give SOURCE, with which --start and --end compare.")
    found = check(dest, source, storage_options=given["storage_options"], **dates)
    if as_json:
        click.echo(json.dumps({"ok": found.ok} | asdict(found)))
    else:
        for kind, sentences in (("fault", found.faults), ("note", found.notes)):
            for sentence in sentences:
                click.echo(f"{kind}: {_printable(sentence)}")
        click.echo(
            f"{len(found.faults):,} faults, {len(found.notes):,} notes; {found.files:,} files, "
            f"{found.days:,} days, {found.launches:,} launches"
        )
    sys.exit(0 if found.ok else 1)


@main.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@_SOURCE_OPTION
def info(source: str | None, as_json: bool, storage_options: dict[str, str]) -> None:
    """Show which days SOURCE has, without reading them.

    SOURCE is a folder, gs://, https:// or any fsspec URL, by default the public archive of
    mybinder.org.
    """
    import json
    from dataclasses import asdict

    from daskbinder.archive import PUBLIC, Archive
    from daskbinder.overview import Overview

    found = Overview.of(Archive(source or PUBLIC, storage_options=storage_options))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"missing": found.missing}, default=str, indent=1))
    else:
        _show_overview(found)


def _show_overview(found: "Overview") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from daskbinder.overview import ranges

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("source", escape(found.source))
    table.add_row("days", f"{found.days:,}")
    if found.days:
        table.add_row("from, to", f"{found.first} to {found.last}")
    table.add_row("bytes", f"{found.bytes:,}")
    for what, runs in (
        ("missing days", list(found.gaps)),
        ("provisional", ranges(found.provisional)),
        ("empty", ranges(found.empty)),
        ("not in the index", ranges(found.unindexed)),
        ("only in the index", ranges(found.indexed_only)),
    ):
        days = sum((last - first).days + 1 for first, last in runs)
        shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs]
        table.add_row(what, f"{days:,}: {_shown(shown, 20)}" if days else "none")
    Console().print(table)


def _run(source: str, dest: str, **given: Any) -> "Result":
    from daskbinder.job import run

    plan = _plan(source, dest, given)
    if given.get("dry_run"):
        click.echo(str(plan))
        sys.exit(0)
    cluster = {
        name: given[name]
        for name in ("cluster", "adapt", "workers", "threads", "memory_limit", "wait", "dashboard")
        if given.get(name) is not None
    }
    with _Watch(plan) as watch:
        result = run(
            plan,
            given.get("scheduler"),
            progress=watch.advance,
            security=_security(given),
            tell=watch.tell,
            **cluster,
        )
        watch.finish(result)
    _show_summary(result)
    return result


def _plan(source: str, dest: str, given: dict[str, Any]) -> "Plan":
    from daskbinder.archive import Archive
    from daskbinder.federation import Federation
    from daskbinder.graph import plan

    chosen: dict[str, Any] = {
        name: given[name]
        for name in ("windows", "grains", "errors", "compat", "blocksize")
        if given.get(name)
    }
    for bound in ("start", "end"):
        if given.get(bound):
            chosen[bound] = given[bound].date()
    options = given.get("storage_options")
    return plan(
        Archive(source, storage_options=options),
        dest,
        accept_versions=given.get("versions", ()),
        federation=Federation.load(given.get("federation")),
        full=given.get("full", False),
        storage_options=options,
        **chosen,
    )


def _security(given: dict[str, Any]) -> Any:
    names = {"tls_ca": "tls_ca_file", "tls_cert": "tls_client_cert", "tls_key": "tls_client_key"}
    files = {theirs: given[ours] for ours, theirs in names.items() if given.get(ours)}
    if not files:
        return None
    from distributed.security import Security

    return Security(require_encryption=True, **files)


class _Watch:
    """Shows how far a run is: a bar on a terminal, a line from time to time elsewhere."""

    def __init__(self, plan: "Plan") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True)
        self.total, self.bytes, self.events, self.tenth = max(plan.bytes, 1), 0, 0, 0
        self.started = time.perf_counter()
        self.bar = Progress(
            TextColumn("counting"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.fields[events]:,} launches"),
            TextColumn("{task.fields[rate]:,.0f} MB/s"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.total, events=0, rate=0.0)

    def __enter__(self) -> "_Watch":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(f"daskbinder: {sentence}", markup=False, highlight=False, soft_wrap=True)

    def finish(self, result: "Result") -> None:
        """Show the end; the last tasks may not have been heard of."""
        accepted = result.rollups.manifest["totals"]["accepted"]
        self.bar.update(self.task, completed=self.total, events=accepted)

    def advance(self, read: int, events: int) -> None:
        self.bytes, self.events = self.bytes + read, self.events + events
        rate = self.bytes / 1e6 / max(time.perf_counter() - self.started, 1e-6)
        self.bar.update(self.task, advance=read, events=self.events, rate=rate)
        if not self.console.is_terminal and 10 * self.bytes // self.total > self.tenth:
            self.tenth = 10 * self.bytes // self.total
            click.echo(
                f"{10 * self.tenth}% read, {self.events:,} launches, {rate:,.0f} MB/s", err=True
            )


def _show_summary(result: "Result") -> None:
    from rich.console import Console
    from rich.table import Table

    manifest, totals = result.rollups.manifest, result.rollups.manifest["totals"]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows = {
        "days": f"{totals['files']:,}",
        "days missing": f"{len(manifest['missing']):,}",
        "launches": f"{totals['accepted']:,}",
        "lines rejected": f"{totals['rejected']:,}",
        **{f"  {reason}": f"{n:,}" for reason, n in totals["reasons"].items()},
        "index mismatches": f"{totals['index_mismatches']:,}",
        "files written": f"{len(manifest['files']):,}",
        "seconds": f"{result.seconds:,.1f}",
        "MB read": f"{result.bytes / 1e6:,.0f}",
        "MB/s": f"{result.bytes / 1e6 / result.seconds:,.0f}",
        "launches/s": f"{result.launches / result.seconds:,.0f}",
    }
    for row in rows.items():
        table.add_row(*row)
    Console().print(table)
    if manifest["unknown_origins"]:
        click.echo(f"hosts of no known member: {_shown(manifest['unknown_origins'])}")


def _show_findings(result: "Result") -> None:
    """Show launches and mean of each member on the last day of the data."""
    from rich.console import Console
    from rich.table import Table

    series = result.rollups.federation("day")
    last = series[series["timestamp"] == series["timestamp"].max()].sort_values(
        "n", ascending=False
    )
    table = Table(title=f"launches on {last['timestamp'].iloc[0]:%Y-%m-%d}", title_justify="left")
    table.add_column("member")
    table.add_column("launches", justify="right")
    table.add_column("7-day mean", justify="right")
    for row in last.itertuples():
        table.add_row(_shown([row.federation]), f"{row.n:,}", f"{row.mean_7d:,.0f}")
    Console().print(table)


def _shown(names: list[str], most: int = 5) -> str:
    """Names that strangers chose, safe on a terminal."""
    from rich.markup import escape

    safe = [_printable(name[:80]) for name in names[:most]]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return escape(", ".join(safe)) + more


def _printable(text: str) -> str:
    """Text without what a terminal would take for a command."""
    return "".join(c if c.isprintable() else "?" for c in text)
