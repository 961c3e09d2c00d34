"""The command that checks a data set."""

import sys
from typing import Any

import click

from daskbinder.cli.options import as_json, date_range, instance, storage_options
from daskbinder.cli.output import print_json
from daskbinder.text import plural, visible


@click.command(short_help="Check what a run left in DEST.")
@click.argument("dest")
@click.argument("source", required=False)
@date_range("file date to compare")
@as_json
@instance
@storage_options("DEST and SOURCE")
def check(dest: str, source: str | None, as_json: bool, **given: Any) -> None:
    """Check what a run left in DEST: every file and every sum.

    With SOURCE, its listing is compared too; give --start and --end as they were given to the run.
    No day file is read. Ends with 1 if there is a fault, which 'run --full' repairs unless it says
    otherwise. A note is no fault: it says what the archive lacked.
    """
    from dataclasses import asdict

    from daskbinder.dataset.check import check

    if (given["start"] or given["end"]) and source is None:
        raise click.UsageError("Give SOURCE, with which --start and --end compare.")
    audit = check(dest, source, **given)
    if as_json:
        print_json({"ok": audit.ok} | asdict(audit))
    else:
        for kind, sentences in (("fault", audit.faults), ("note", audit.notes)):
            for sentence in sentences:
                click.echo(f"{kind}: {visible(sentence)}")
        click.echo(
            f"{plural(len(audit.faults), 'fault')}, {plural(len(audit.notes), 'note')}; "
            f"{plural(audit.files, 'file')}, {plural(audit.days, 'day')}, "
            f"{audit.launches:,} launches"
        )
    sys.exit(0 if audit.ok else 1)
