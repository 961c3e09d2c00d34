"""The commands that count: run, and demo, which counts a sample."""

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
from daskbinder.cli.output import print_facts, print_table
from daskbinder.cli.startup import hide_pandas
from daskbinder.errors import InputError
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.redaction import StorageOptions
from daskbinder.text import listing, readable, visible

if TYPE_CHECKING:
    from distributed.security import Security

    from daskbinder.model.hub import Instance
    from daskbinder.pipeline.plan import Plan
    from daskbinder.pipeline.run import Result

_CLUSTER = (
    *("scheduler", "cluster", "adapt", "wait", "dashboard"),
    *("workers", "threads", "memory_limit"),
)
"""Options passed to `daskbinder.run`; the others go to `daskbinder.plan`."""


@click.command(short_help="Count the launches of SOURCE into DEST.")
@click.argument("source", required=False)
@click.argument("dest", required=False)
@date_range("file date")
@click.option(
    "--window",
    "windows",
    multiple=True,
    type=click.Choice(KINDS),
    default=KINDS,
    help="Write only these windows; may be repeated.  [default: all]",
)
@click.option(
    "--by",
    "grains",
    multiple=True,
    type=click.Choice(GRAINS),
    default=GRAINS,
    help="Write only these grains; may be repeated.  [default: both]",
)
@click.option(
    "--errors",
    type=click.Choice(["record", "raise"]),
    default="record",
    show_default=True,
    help="Record rejected lines, or stop at the first.",
)
@click.option(
    "--compat",
    type=click.Choice(["notebook"]),
    help="Reproduce the rollups of the older pandas notebook instead.",
)
@click.option(
    "--federation",
    type=FILE,
    help="Table of hosts and members (TOML) in place of the packaged one.",
)
@click.option(
    "--accept-version",
    "accept_versions",
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
    help="Worker processes on this machine.  [default: one, inside this process; for a large "
    "archive one for each four cores]",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads a worker.  [default: its share of the cores]"
)
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
    "--adapt",
    metavar="MIN:MAX",
    callback=read_bounds,
    help="Fewest and most workers of that cluster.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long to wait for the first worker.  [default: 60]",
)
@click.option("--dashboard", is_flag=True, help="Print the address of Dask's dashboard.")
@instance
@storage_options("SOURCE and DEST")
def run(
    source: str | None,
    dest: str | None,
    dry_run: bool,
    instance: "Instance",
    federation: str | None,
    storage_options: StorageOptions,
    **given: Any,
) -> None:
    """Count the launches of SOURCE into DEST.

    SOURCE is a folder, gs://, https:// or any fsspec URL, and so is DEST. With one argument it is
    DEST, and SOURCE is the public archive of mybinder.org.

    Ends with 0 when all is done, 2 when something given cannot be used, 1 when the job failed.
    A run that was stopped is finished by running again.
    """
    if dest is None:
        source, dest = None, source
    if dest is None:
        raise click.UsageError("Give DEST, the folder for the results.")
    hide_pandas()
    from daskbinder.archive.archive import Archive
    from daskbinder.model.federation import Federation
    from daskbinder.pipeline.plan import plan

    security = _security(given.pop("tls_ca"), given.pop("tls_cert"), given.pop("tls_key"))
    cluster = {name: given.pop(name) for name in _CLUSTER}
    planned = plan(
        Archive(source, storage_options=storage_options, instance=instance),
        dest,
        federation=Federation.load(federation) if federation else None,
        storage_options=storage_options,
        **given,
    )
    if dry_run:
        click.echo("\n".join(map(visible, str(planned).split("\n"))))
        return
    cluster = {name: value for name, value in cluster.items() if value is not None}
    result = _count(planned, security=security, archive_bytes=planned.bytes, **cluster)
    if result.rollups.contents.lost:
        sys.exit(1)


def _security(ca: str | None, cert: str | None, key: str | None) -> "Security | None":
    files = {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key}
    given = {name: file for name, file in files.items() if file}
    if not given:
        return None
    from distributed.security import Security

    return Security(require_encryption=True, **given)


def _count(plan: "Plan", **cluster: Any) -> "Result":
    """Run a plan, showing its progress and its summary."""
    from daskbinder.cli.progress import RunProgress
    from daskbinder.pipeline.run import run

    gc.freeze()  # exempt everything imported so far from garbage collection
    with RunProgress(plan.bytes) as progress:
        result = run(plan, progress=progress.advance, tell=progress.tell, **cluster)
        progress.finish(result)
    _show_summary(result)
    return result


def _show_summary(result: "Result") -> None:
    from daskbinder.dataset.notes import secrets, shrunk

    contents, totals = result.rollups.contents, result.rollups.contents.totals
    print_facts(
        {
            "days": totals.files,
            "days missing": len(contents.missing),
            **({"days left out": len(contents.lost)} if contents.lost else {}),
            **({"days shrunk": len(contents.shrunk)} if contents.shrunk else {}),
            "launches": totals.accepted,
            "lines rejected": totals.rejected,
            **{f"  {reason}": n for reason, n in totals.reasons.items()},
            "index mismatches": totals.index_mismatches,
            "files written": len(contents.files),
            "seconds": f"{result.seconds:,.1f}",
            "MB read": round(result.bytes / 1e6),
            "MB/s": round(result.bytes / 1e6 / result.seconds),
            "launches/s": round(result.launches / result.seconds),
        }
    )
    for name, why in contents.lost.items():
        click.echo(f"left out: {readable(name)}: {visible(why)}")
    for sentence in (*shrunk(contents.shrunk), *secrets(contents.secret_launches)):
        click.echo(f"note: {sentence}")
    if contents.unknown_origins:
        click.echo(f"unknown hosts: {listing(contents.unknown_origins)}")


@click.command(short_help="Make a small sample archive, count it and show what comes out.")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
def demo(folder: Path | None) -> None:
    """Make a small sample archive, count it and show what comes out.

    Needs no network. The archive goes to DIR/archive, the results to DIR/rollups; DIR is a new
    temporary folder by default.
    """
    import tempfile

    hide_pandas()
    from daskbinder.archive.archive import Archive
    from daskbinder.dataset.manifest import read_manifest
    from daskbinder.pipeline.plan import plan
    from daskbinder.storage.location import Location

    folder = folder or Path(tempfile.mkdtemp(prefix="daskbinder-"))
    source, dest = folder / "archive", folder / "rollups"
    before = read_manifest(Location.at(dest))
    if before is not None and before.source != Location.at(source).address:
        raise InputError(f"{dest} holds the results of {before.source}; name another DIR")
    if not source.exists():
        _make_sample(source)
    result = _count(plan(Archive(source), dest))
    _show_last_day(result)
    click.echo(f"\nThe results are in {dest}. In Python:\n")
    click.echo("    import daskbinder")
    click.echo(f"    rollups = daskbinder.open({str(dest)!r})")
    click.echo('    rollups.load("weekly", by="day")')


def _make_sample(folder: Path) -> None:
    """Make a sample archive, atomically: it appears whole or not at all."""
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


def _show_last_day(result: "Result") -> None:
    """Show each member's launches and 7-day mean on the last day of the data."""
    series = result.rollups.federation("day")
    last = series[series["timestamp"] == series["timestamp"].max()]
    rows = [
        {"member": row.federation, "launches": int(row.n), "7-day mean": round(row.mean_7d)}
        for row in last.sort_values("n", ascending=False).itertuples()
    ]
    click.echo(f"\nlaunches on {last['timestamp'].iloc[0]:%Y-%m-%d}\n")
    print_table(["member", "launches", "7-day mean"], rows)
