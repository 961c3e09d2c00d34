"""The commands about archives of day files, info of which shows what a run left too."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daskbinder.cli.options import DATE, as_json, date_range, instance, storage_options
from daskbinder.cli.output import print_json
from daskbinder.errors import InputError, JobError
from daskbinder.text import listing, plural, visible

if TYPE_CHECKING:
    from daskbinder.dataset.summary import Holdings, Overview
    from daskbinder.model.dates import DateSet


@click.command(short_help="Make an archive of any size from a seed.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--days", type=click.IntRange(1), default=30, show_default=True, metavar="N", help="Days."
)
@click.option(
    "--start",
    type=DATE,
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
def sample(out: Path, start: date, **given: Any) -> None:
    """Make an archive of any size in the folder OUT, from a seed.

    It has the shape of the real one: formats of all versions, few loud repositories and a long
    tail, weekends, federation members that come and go, missing days. No launch in it happened.
    """
    from daskbinder.archive.sample import write_sample

    try:
        launches = write_sample(out, start=start, **given)
    except ValueError as error:
        raise InputError(str(error)) from error
    click.echo(f"{launches:,} launches in {out}")


@click.command(short_help="Bring a folder up to date with an archive.")
@click.argument("source", required=False)
@click.argument("folder", required=False, metavar="DIR")
@date_range("file date to fetch")
@click.option(
    "--delete", is_flag=True, help="Remove days SOURCE lacks, and take those that shrank."
)
@instance
@storage_options("SOURCE")
def sync(source: str | None, folder: str | None, **given: Any) -> None:
    """Bring the folder DIR up to date with SOURCE, to run from there.

    Only what changed is fetched, many files at a time; each is checked and comes whole or not at
    all, so a sync that was stopped goes on where it was. A file that is not empty and has no launch
    in it is not taken, and sync ends with 1. With one argument it is DIR, and SOURCE
    is the public archive of mybinder.org.
    """
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from daskbinder.archive.archive import Archive
    from daskbinder.archive.mirror import sync as bring

    if folder is None:
        source, folder = None, source
    if folder is None:
        raise click.UsageError("Give DIR, the folder for the day files.")
    dates = {bound: given[bound] for bound in ("start", "end")}
    archive = Archive(source, instance=given["instance"], storage_options=given["storage_options"])
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
        f"{plural(len(mirror.fetched), 'day')} fetched, {plural(mirror.bytes, 'byte')}; "
        f"{plural(mirror.unchanged, 'day')} unchanged"
    )
    for names, what, done in (
        (mirror.gone, "no longer in SOURCE", "removed"),
        (mirror.shrunk, "smaller in SOURCE", "replaced"),
    ):
        if names:
            fate = done if mirror.deleted else "kept; --delete follows SOURCE"
            click.echo(f"{plural(len(names), 'day')} {what} ({fate}): {listing(list(names))}")
    if mirror.renamed:
        days, which = plural(len(mirror.renamed), "day"), listing(list(mirror.renamed))
        click.echo(f"{days} under another name in SOURCE (replaced): {which}")
    if mirror.removed:
        days, which = plural(len(mirror.removed), "day"), listing(list(mirror.removed))
        click.echo(f"{days} without a launch removed: {which}")
    if mirror.lost:
        first, *others = mirror.lost.values()
        more = f"; {len(others):,} other files are not taken either" if others else ""
        raise JobError(f"not taken: {first}{more}; what was in DIR before stands")


@click.command(short_help="Show what SOURCE or DEST holds.")
@click.argument("location", required=False, metavar="[SOURCE|DEST]")
@as_json
@instance
@storage_options("SOURCE or DEST")
def info(location: str | None, as_json: bool, **given: Any) -> None:
    """Show which days SOURCE has, or what a run left in DEST.

    Either is a folder, gs://, https:// or any fsspec URL; by default it is the public archive of
    mybinder.org. No day file and no rollup is read: an archive's listing and index tell, or a
    manifest and its day table. A place with day files is an archive.
    """
    from dataclasses import asdict

    from daskbinder.dataset.summary import Overview, look

    found = look(location, **given)
    if as_json:
        print_json(asdict(found) | {"missing": found.missing})
    elif isinstance(found, Overview):
        _show_overview(found)
    else:
        _show_holdings(found)


def _show_overview(found: "Overview") -> None:
    from daskbinder.model.dates import DateSet

    rows = [("source", found.source), ("days", f"{found.days:,}")]
    if found.days:
        rows.append(("from, to", f"{found.first} to {found.last}"))
    rows.append(("bytes", f"{found.bytes:,}"))
    rows.append(("missing days", _days(_gaps(found))))
    for what, days in (
        ("provisional", found.provisional),
        ("empty", found.empty),
        *((("not open to us", found.refused),) if found.refused else ()),
        ("not in the index", found.unindexed),
        ("only in the index", found.indexed_only),
    ):
        rows.append((what, _days(DateSet.of(days))))
    _show(rows)


def _show_holdings(found: "Holdings") -> None:
    from daskbinder.model.dates import DateSet

    rows = [
        ("data set", found.dest),
        ("instance", found.instance),
        ("source", found.source),
        ("written by", f"daskbinder {found.version}"),
        ("days", f"{found.days:,}"),
    ]
    if found.days:
        rows.append(("from, to", f"{found.first} to {found.last}"))
    rows += [
        ("missing days", _days(_gaps(found))),
        ("provisional", _days(DateSet.of(found.provisional))),
        ("launches", f"{found.launches:,}"),
        ("rejected lines", f"{found.rejected:,}"),
        *((f"  {reason}", f"{n:,}") for reason, n in found.reasons.items()),
        ("index mismatches", f"{found.index_mismatches:,}"),
    ]
    for kind, grains in found.windows.items():
        rows.append((f"{kind} windows", ", ".join(f"{n:,} by {by}" for by, n in grains.items())))
    rows.append(("incomplete", f"{found.incomplete:,}"))
    if found.lost:
        rows.append(("left out", _listed(list(found.lost), len(found.lost))))
    rows.append(("unknown hosts", _listed(list(found.unknown_hosts), len(found.unknown_hosts))))
    rows.append(("bytes", f"{found.bytes:,}"))
    _show(rows)


def _gaps(found: "Overview | Holdings") -> "DateSet":
    from daskbinder.model.dates import DateSet

    return DateSet(found.gaps)


def _days(days: "DateSet") -> str:
    return _listed(days.texts, len(days))


def _listed(texts: list[str], n: int) -> str:
    """Say how many, and which; strangers may have chosen the names."""
    return f"{n:,}: {listing(texts, 20)}" if n else "none"


def _show(rows: Sequence[tuple[str, str]]) -> None:
    """Print facts for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, told in rows:
        table.add_row(Text(visible(what)), Text(visible(told)))
    Console().print(table)
