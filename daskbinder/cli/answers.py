"""The commands that answer questions about a finished data set: top, repo, members and export.

They start in a moment: nothing here needs pandas, Dask or the archive.
"""

import sys
from typing import TYPE_CHECKING, Any

import click

from daskbinder.cli.options import TEXT, date_range, storage_options
from daskbinder.cli.output import print_csv, print_json, print_table
from daskbinder.cli.startup import hide_pandas

if TYPE_CHECKING:
    from daskbinder.answers.rank import Repository
    from daskbinder.dataset.rollups import Rollups

_AS = [
    click.option("--json", "form", flag_value="json", help="As JSON, for programs."),
    click.option("--csv", "form", flag_value="csv", help="As CSV, safe to open in a spreadsheet."),
    storage_options("DEST"),
]
_SPARKS = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS = "_.-~=+*#"
_WIDTH = 60


def _in_any_form(command: Any) -> Any:
    for option in reversed(_AS):
        command = option(command)
    return command


@click.command(short_help="Rank repositories, organisations, members, ... by launches.")
@click.argument("dest")
@click.option(
    "--by",
    type=click.Choice(["repo", "org", "provider", "member", "origin", "ref"]),
    default="repo",
    show_default=True,
    help="What to rank.",
)
@click.option("--last", metavar="DAYS", help="So many days up to the newest, as 90d.")
@date_range("day")
@click.option(
    "-n", "n", type=click.IntRange(1), default=25, show_default=True, metavar="N", help="Rows."
)
@_in_any_form
def top(dest: str, by: str, n: int, form: str | None, **given: Any) -> None:
    """Rank what was launched most in the data set DEST, as 'run' left it.

    Shares are of all launches of these days. An origin is the host that was asked; names that
    differ in case alone are one where their provider says so.
    """
    rollups = _open(dest, given)
    from daskbinder.answers import rank, select

    span = select.read_span(rollups, given["start"], given["end"], given["last"])
    rows = rank.top(rollups, by, span, n).to_pylist()
    if form == "json":
        print_json({"by": by, "start": span.first, "end": span.last, "rows": rows})
    elif form == "csv":
        print_csv([*rank.BY[by], "n", "share"], rows)
    else:
        print_table([*rank.BY[by], "n", "share"], rows)


@click.command(short_help="Show all about one repository.")
@click.argument("dest")
@click.argument("name", type=TEXT, metavar="NAME|URL")
@click.option(
    "--provider", type=TEXT, metavar="NAME", help="Where it is, as GitHub.  [default: anywhere]"
)
@_in_any_form
def repo(dest: str, name: str, provider: str | None, form: str | None, **given: Any) -> None:
    """Show how often a repository was launched, when, where and at which refs.

    NAME is owner/name or a DOI; a URL is that of a repository or of a launch. With --csv, its
    launches by day.
    """
    rollups = _open(dest, given)
    from daskbinder.answers import rank

    found = rank.repository(rollups, name, provider)
    if form == "json":
        tables = ("series", "by_member", "by_ref")
        print_json(vars(found) | {name: getattr(found, name).to_pylist() for name in tables})
    elif form == "csv":
        print_csv(["date", "n"], found.series.to_pylist())
    else:
        _show_repository(found)


@click.command(short_help="Show the launches and share of each federation member.")
@click.argument("dest")
@click.option(
    "--by",
    type=click.Choice(["month", "quarter", "year"]),
    help="What to count by.  [default: month]",
)
@click.option("--month", metavar="2025-01", help="Only this month.")
@click.option("--quarter", metavar="2025Q1", help="Only this quarter.")
@click.option("--year", metavar="2025", help="Only this year.")
@_in_any_form
def members(dest: str, by: str | None, form: str | None, **given: Any) -> None:
    """Show launches of each federation member, its share, and the change against a year before."""
    chosen = {name: given[name] for name in ("month", "quarter", "year") if given[name]}
    if len(chosen) + bool(by) > 1:
        raise click.UsageError("Give one of --by, --month, --quarter and --year.")
    rollups = _open(dest, given)
    from daskbinder.answers import rank
    from daskbinder.errors import InputError

    by, period = next(iter(chosen.items()), (by or "month", None))
    rows = rank.members(rollups, by or "month").to_pylist()
    if period is not None:
        rows = [row for row in rows if row["period"] == period.upper()]
        if not rows:
            raise InputError(f"there are no launches in a {by} called {period!r}")
    columns = ["period", "member", "n", "share", "change"]
    if form == "json":
        print_json({"by": by, "rows": rows})
    elif form == "csv":
        print_csv(columns, rows)
    else:
        print_table(columns, rows)


@click.command(short_help="Publish DEST as static JSON, with badges.")
@click.argument("dest")
@click.argument("out")
@click.option(
    "--least",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Launches from which a repository or an organisation has a file of its own.",
)
@storage_options("DEST and OUT")
def export(dest: str, out: str, least: int, **given: Any) -> None:
    """Publish the data set DEST as a tree of static JSON in the folder OUT, for a web site.

    There are totals, members, organisations and repositories, and badges for shields.io. Only files
    that changed are written; those that an earlier export left and that are no longer wanted go.
    """
    rollups = _open(dest, given)
    from daskbinder.answers.export import publish
    from daskbinder.storage.location import Location

    done = publish(rollups, Location.at(out, given["storage_options"]), least)
    click.echo(
        f"{done.repositories:,} repositories, {done.organisations:,} organisations; "
        f"{done.files:,} files, {done.written:,} written, {done.removed:,} removed"
    )


def _open(dest: str, given: dict[str, Any]) -> "Rollups":
    hide_pandas()
    from daskbinder.dataset.rollups import open_rollups

    return open_rollups(dest, storage_options=given["storage_options"])


def _show_repository(found: "Repository[Any]") -> None:
    facts = {
        "provider": found.provider,
        "repository": found.name,
        "organisation": found.org or "none: the spec fits nothing its provider knows",
        "launches": f"{found.total:,}, {found.share:.2%} of all",
        "rank": f"{found.rank:,}",
        "days with launches": f"{found.days:,}",
        "first, last seen": f"{found.first_seen}, {found.last_seen}",
    }
    print_table(["", " "], [{"": name, " ": text} for name, text in facts.items()], header=False)
    click.echo(f"\n{_sparkline(found)}\n")
    for name, table in (("member", found.by_member), ("ref", found.by_ref)):
        rows = table.slice(0, 10).to_pylist()
        print_table([name, "n", "share"], rows)
        if len(table) > len(rows):
            click.echo(f"and {len(table) - len(rows):,} more")
        click.echo("")


def _sparkline(found: "Repository[Any]") -> str:
    """Draw launches from the first to the last day seen, in parts of equal length."""
    first, days = found.first_seen.toordinal(), found.series["date"].to_pylist()
    length = max((found.last_seen.toordinal() - first + 1) / _WIDTH, 1)
    parts = [0] * (int((found.last_seen.toordinal() - first) / length) + 1)
    for day, n in zip(days, found.series["n"].to_pylist(), strict=True):
        parts[int((day.toordinal() - first) / length)] += n
    sparks = _SPARKS if _shows(_SPARKS) else _ASCII_SPARKS
    most = max(parts)
    return "".join(sparks[(len(sparks) - 1) * n // most] if n else " " for n in parts)


def _shows(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
