"""The commands that count: run, and demo, which runs on a sample."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daskbinder.cli.options import (
    FILE,
    date_range,
    instance,
    read_bounds,
    read_size,
    storage_options,
)
from daskbinder.cli.startup import hide_pandas
from daskbinder.errors import InputError
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.text import listing, readable, visible

if TYPE_CHECKING:
    from daskbinder.pipeline.plan import Plan
    from daskbinder.pipeline.run import Result


@click.command(short_help="Count the launches of SOURCE into DEST.")
@click.argument("source", required=False)
@click.argument("dest", required=False)
@date_range("file date")
@click.option(
    "--window",
    "windows",
    multiple=True,
    type=click.Choice(KINDS),
    help="Write only these windows; may be repeated.  [default: all]",
)
@click.option(
    "--by",
    "grains",
    multiple=True,
    type=click.Choice(GRAINS),
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
@click.option(
    "--keep-going",
    is_flag=True,
    help="Leave out day files that cannot be read, and end with 1; the next run tries them again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be read and written, and stop.")
@click.option(
    "--blocksize",
    default="auto",
    metavar="SIZE",
    callback=read_size,
    help="Bytes of the archive that a task holds at a time.  [default: 64MiB, or what fits into "
    "the workers]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask scheduler to run on, tcp:// or tls://.  [default: $DASK_SCHEDULER_ADDRESS, else "
    "this machine]",
)
@click.option("--tls-ca", type=FILE, help="Certificate authority of the scheduler.")
@click.option("--tls-cert", type=FILE, help="Certificate to show to the scheduler.")
@click.option("--tls-key", type=FILE, help="Key of that certificate.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes on this machine.  [default: one, inside this process]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads a worker.  [default: all cores]")
@click.option(
    "--memory-limit",
    metavar="SIZE",
    callback=read_size,
    help="Memory a worker.  [default: its share of the machine's]",
)
@click.option(
    "--cluster",
    metavar="SPEC",
    help="Cluster to start for the run: module.Class(name=value), or a YAML or TOML file of it.",
)
@click.option(
    "--adapt", metavar="MIN:MAX", callback=read_bounds, help="Workers between which it adapts."
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long to wait for the first worker.  [default: 60]",
)
@click.option("--dashboard", is_flag=True, help="Say where Dask's dashboard is.")
@instance
@storage_options("SOURCE and DEST")
def run(**given: Any) -> None:
    """Count the launches of SOURCE into DEST.

    SOURCE is a folder, gs://, https:// or any fsspec URL, and so is DEST. With one argument it is
    DEST, and SOURCE is the public archive of mybinder.org.

    Ends with 0 when all is done, 2 when something given cannot be used, 1 when the job failed.
    A run that was stopped is finished by running again.
    """
    source, dest = given.pop("source"), given.pop("dest")
    if dest is None:
        source, dest = None, source
    if dest is None:
        raise click.UsageError("Give DEST, the folder for the results.")
    result = _run(source, dest, **given)
    if result.rollups.contents.lost:
        sys.exit(1)


@click.command(short_help="Make a small sample archive, count it and show what comes out.")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
def demo(folder: Path | None) -> None:
    """Make a small sample archive, count it and show what comes out.

    Needs no network. The archive lands in DIR/archive, the results in DIR/rollups; DIR is a new
    temporary folder by default.
    """
    import tempfile

    from daskbinder.dataset.manifest import read_manifest
    from daskbinder.storage.location import Location

    folder = folder or Path(tempfile.mkdtemp(prefix="daskbinder-"))
    source, dest = folder / "archive", folder / "rollups"
    before = read_manifest(Location.at(dest))
    if before is not None and before.source != Location.at(source).address:
        raise InputError(f"{dest} holds the results of {before.source}; name another DIR")
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

    from daskbinder.archive.sample import write_sample

    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_sample(unfinished / "archive", flaws=True)
        (unfinished / "archive").rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _run(source: str | None, dest: str, **given: Any) -> "Result":
    hide_pandas()
    from daskbinder.cli.progress import Watch
    from daskbinder.pipeline.run import run

    plan = _plan(source, dest, given)
    if given.get("dry_run"):
        click.echo("\n".join(map(visible, str(plan).split("\n"))))
        sys.exit(0)
    cluster = {
        name: given[name]
        for name in ("cluster", "adapt", "workers", "threads", "memory_limit", "wait", "dashboard")
        if given.get(name) is not None
    }
    gc.freeze()  # what is there now stays, and need not be looked through again and again
    with Watch(plan.bytes) as watch:
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


def _plan(source: str | None, dest: str, given: dict[str, Any]) -> "Plan":
    from daskbinder.archive.archive import Archive
    from daskbinder.model.federation import Federation
    from daskbinder.model.hub import MYBINDER
    from daskbinder.pipeline.plan import plan

    chosen: dict[str, Any] = {
        name: given[name]
        for name in ("start", "end", "windows", "grains", "errors", "compat", "blocksize")
        if given.get(name)
    }
    if given.get("federation"):
        chosen["federation"] = Federation.load(given["federation"])
    options = given.get("storage_options")
    return plan(
        Archive(source, storage_options=options, instance=given.get("instance", MYBINDER)),
        dest,
        accept_versions=given.get("versions", ()),
        full=given.get("full", False),
        keep_going=given.get("keep_going", False),
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


def _show_summary(result: "Result") -> None:
    from rich.console import Console
    from rich.table import Table

    from daskbinder.dataset.notes import secrets, shrunk

    manifest = result.rollups.contents
    totals = manifest.totals
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows = {
        "days": f"{totals.files:,}",
        "days missing": f"{len(manifest.missing):,}",
        **({"days left out": f"{len(manifest.lost):,}"} if manifest.lost else {}),
        **({"days shrunk": f"{len(manifest.shrunk):,}"} if manifest.shrunk else {}),
        "launches": f"{totals.accepted:,}",
        "lines rejected": f"{totals.rejected:,}",
        **{f"  {reason}": f"{n:,}" for reason, n in totals.reasons.items()},
        "index mismatches": f"{totals.index_mismatches:,}",
        "files written": f"{len(manifest.files):,}",
        "seconds": f"{result.seconds:,.1f}",
        "MB read": f"{result.bytes / 1e6:,.0f}",
        "MB/s": f"{result.bytes / 1e6 / result.seconds:,.0f}",
        "launches/s": f"{result.launches / result.seconds:,.0f}",
    }
    for row in rows.items():
        table.add_row(*row)
    Console().print(table)
    for name, why in manifest.lost.items():
        click.echo(f"left out: {readable(name)}: {visible(why)}")
    for sentence in (*shrunk(manifest.shrunk), *secrets(manifest.secret_launches)):
        click.echo(f"note: {sentence}")
    if manifest.unknown_origins:
        click.echo(f"hosts of no known member: {listing(manifest.unknown_origins)}")


def _show_findings(result: "Result") -> None:
    """Show launches and mean of each member on the last day of the data."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    series = result.rollups.federation("day")
    last = series[series["timestamp"] == series["timestamp"].max()].sort_values(
        "n", ascending=False
    )
    table = Table(title=f"launches on {last['timestamp'].iloc[0]:%Y-%m-%d}", title_justify="left")
    table.add_column("member")
    table.add_column("launches", justify="right")
    table.add_column("7-day mean", justify="right")
    for row in last.itertuples():
        table.add_row(Text(readable(row.federation)), f"{row.n:,}", f"{row.mean_7d:,.0f}")
    Console().print(table)
