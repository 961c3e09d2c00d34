"""The command that checks what a run left."""

import sys
from typing import Any

import click

from daskbinder.cli.options import as_json, date_range, instance, storage_options
from daskbinder.cli.output import print_json
from daskbinder.text import visible


@click.command(short_help="Check what a run left in DEST.")
@click.argument("dest")
@click.argument("source", required=False)
@date_range("file date to compare")
@as_json
@instance
@storage_options("DEST and SOURCE")
def check(dest: str, source: str | None, as_json: bool, **given: Any) -> None:
    """Check what a run left in DEST: every file and every sum.

    With SOURCE its listing is compared too, from --start to --end as they were given to the run;
    no day file is read. Ends with 1 when there is a fault; unless it says otherwise, 'run --full'
    mends it. A note is no fault: it tells what the archive lacked.
    """
    from dataclasses import asdict

    from daskbinder.dataset.check import check

    dates = {bound: given[bound] for bound in ("start", "end")}
    if any(dates.values()) and source is None:
        raise click.UsageError("Give SOURCE, with which --start and --end compare.")
    options = {name: given[name] for name in ("instance", "storage_options")}
    found = check(dest, source, **options, **dates)
    if as_json:
        print_json({"ok": found.ok} | asdict(found))
    else:
        for kind, sentences in (("fault", found.faults), ("note", found.notes)):
            for sentence in sentences:
                click.echo(f"{kind}: {visible(sentence)}")
        click.echo(
            f"{len(found.faults):,} faults, {len(found.notes):,} notes; {found.files:,} files, "
            f"{found.days:,} days, {found.launches:,} launches"
        )
    sys.exit(0 if found.ok else 1)
