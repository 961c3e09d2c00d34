"""The commands for archives of day files: sample, sync and info, which also shows data sets."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daskbinder.cli.options import (
    DATE,
    as_json,
    date_range,
    instance,
    storage_options,
    whole_number,
)
from daskbinder.cli.output import print_facts, print_json
from daskbinder.errors import InputError, JobError
from daskbinder.text import listing, plural

if TYPE_CHECKING:
    from daskbinder.archive.mirror import Mirror
    from daskbinder.dataset.summary import Holdings, Overview


@click.command(short_help="Make an archive of any size from a seed.")
@click.argument("out", type=click.Path(path_type=Path))
@whole_number("--days", default=30, of="Number of days.")
@click.option(
    "--start", type=DATE, default="2021-02-22", show_default=True, metavar="DATE", help="First day."
)
@whole_number("--events-per-day", default=20_000, of="Launches on an average day.")
@whole_number("--repositories", default=40_000, of="Repositories alive at one time.")
@whole_number("--seed", default=0, least=0, of="The same seed makes the same bytes.")
@click.option("--flaws", is_flag=True, help="Add some lines that are rejected.")
def sample(out: Path, start: date, **given: Any) -> None:
    """Make an archive of any size in the folder OUT, from a seed.

    It has the shape of the real one: formats of all versions, a few popular repositories and a long
    tail, weekends, federation members that come and go, missing days. All launches are invented.
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
    "--delete", is_flag=True, help="Remove days SOURCE lacks, and replace those that shrank."
)
@instance
@storage_options("SOURCE")
def sync(source: str | None, folder: str | None, delete: bool, **given: Any) -> None:
    """Bring the folder DIR up to date with SOURCE, to run from there.

    Only what changed is fetched, many files at a time; each is verified and appears whole or not at
    all, so a sync that was stopped continues where it was. A file that is not empty but has no
    launch in it is not taken, and sync ends with 1. With one argument it is DIR, and SOURCE is the
    public archive of mybinder.org.
    """
    from daskbinder.archive.archive import Archive
    from daskbinder.archive.mirror import sync
    from daskbinder.cli.progress import sync_progress

    if folder is None:
        source, folder = None, source
    if folder is None:
        raise click.UsageError("Give DIR, the folder for the day files.")
    dates = {bound: given.pop(bound) for bound in ("start", "end")}
    archive = Archive(source, **given)
    with sync_progress(sum(file.size for file in archive.select(**dates))) as progress:
        mirror = sync(archive, folder, delete=delete, progress=progress, **dates)
    _show_mirror(mirror)
    if mirror.lost:
        first, *others = mirror.lost.values()
        more = f"; {plural(len(others), 'other file')} not taken either" if others else ""
        raise JobError(f"not taken: {first}{more}; what was in DIR before stands")


def _show_mirror(mirror: "Mirror") -> None:
    click.echo(
        f"{plural(len(mirror.fetched), 'day')} fetched, {plural(mirror.bytes, 'byte')}; "
        f"{plural(mirror.unchanged, 'day')} unchanged"
    )
    kept = None if mirror.deleted else " (kept; --delete follows SOURCE)"
    for names, what in (
        (mirror.gone, f"no longer in SOURCE{kept or ' (removed)'}"),
        (mirror.shrunk, f"smaller in SOURCE{kept or ' (replaced)'}"),
        (mirror.renamed, "under another name in SOURCE (replaced)"),
        (mirror.removed, "without a launch removed"),
    ):
        if names:
            click.echo(f"{plural(len(names), 'day')} {what}: {listing(names)}")


@click.command(short_help="Show what SOURCE or DEST holds.")
@click.argument("location", required=False, metavar="[SOURCE|DEST]")
@as_json
@instance
@storage_options("SOURCE or DEST")
def info(location: str | None, as_json: bool, **given: Any) -> None:
    """Show which days SOURCE has, or what a run left in DEST.

    Either is a folder, gs://, https:// or any fsspec URL; by default it is the public archive of
    mybinder.org. Only the listing and the index of an archive are read, or the manifest and the day
    table of a data set. A location with day files is an archive.
    """
    from dataclasses import asdict

    from daskbinder.dataset.summary import Overview, look

    found = look(location, **given)
    if as_json:
        print_json(asdict(found) | {"missing": found.missing})
    elif isinstance(found, Overview):
        print_facts(_archive_facts(found))
    else:
        print_facts(_data_set_facts(found))


def _archive_facts(archive: "Overview") -> dict[str, str]:
    return {
        "source": archive.source,
        "days": f"{archive.days:,}",
        **_range(archive),
        "bytes": f"{archive.bytes:,}",
        "missing days": _gaps(archive),
        "provisional": _dates(archive.provisional),
        "empty": _dates(archive.empty),
        **({"permission denied": _dates(archive.refused)} if archive.refused else {}),
        "not in the index": _dates(archive.unindexed),
        "only in the index": _dates(archive.indexed_only),
    }


def _data_set_facts(data_set: "Holdings") -> dict[str, str]:
    return {
        "data set": data_set.dest,
        "instance": data_set.instance,
        "source": data_set.source,
        "written by": f"daskbinder {data_set.version}",
        "days": f"{data_set.days:,}",
        **_range(data_set),
        "missing days": _gaps(data_set),
        "provisional": _dates(data_set.provisional),
        "launches": f"{data_set.launches:,}",
        "rejected lines": f"{data_set.rejected:,}",
        **{f"  {reason}": f"{n:,}" for reason, n in data_set.reasons.items()},
        "index mismatches": f"{data_set.index_mismatches:,}",
        **{
            f"{kind} windows": ", ".join(f"{n:,} by {by}" for by, n in grains.items())
            for kind, grains in data_set.windows.items()
        },
        "incomplete": f"{data_set.incomplete:,}",
        **({"left out": _listed([*data_set.lost])} if data_set.lost else {}),
        "unknown hosts": _listed(data_set.unknown_hosts),
        "bytes": f"{data_set.bytes:,}",
    }


def _range(found: "Overview | Holdings") -> dict[str, str]:
    return {"from, to": f"{found.first} to {found.last}"} if found.days else {}


def _gaps(found: "Overview | Holdings") -> str:
    from daskbinder.model.dates import DateSet

    return _listed(DateSet(found.gaps).texts, found.missing)


def _dates(dates: Iterable[date]) -> str:
    from daskbinder.model.dates import DateSet

    days = DateSet.of(dates)
    return _listed(days.texts, len(days))


def _listed(texts: Sequence[str], n: int | None = None) -> str:
    """Say how many there are, by default the number of `texts`, and list them."""
    return f"{len(texts) if n is None else n:,}: {listing(texts, 20)}" if texts else "none"
