"""The commands that answer questions about a data set: top, repo, members and export.

They need neither pandas, Dask nor the archive, and so start quickly.
"""

import sys
from typing import TYPE_CHECKING, Any

import click

from daskbinder.cli.options import TEXT, Command, date_range, storage_options, whole_number
from daskbinder.cli.output import Rows, print_csv, print_facts, print_json, print_table
from daskbinder.cli.startup import hide_pandas
from daskbinder.text import plural, readable

if TYPE_CHECKING:
    from daskbinder.answers.rank import Repository
    from daskbinder.dataset.rollups import Rollups

_SPARKS = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS = "_.-~=+*#"
_WIDTH = 60


def _with_output_options(command: Command) -> Command:
    for option in (
        storage_options("DEST"),
        click.option(
            "--csv", "form", flag_value="csv", help="As CSV, safe to open in a spreadsheet."
        ),
        click.option("--json", "form", flag_value="json", help="As JSON, for programs."),
    ):
        command = option(command)
    return command


def _print_rows(form: str | None, columns: list[str], rows: Rows, **facts: Any) -> None:
    """Print rows as a table, or in the given `form`; `facts` appear in JSON only."""
    if form == "json":
        print_json(facts | {"rows": rows})
    elif form == "csv":
        print_csv(columns, rows)
    else:
        print_table(columns, rows)


@click.command(short_help="Rank repositories, organisations, members, ... by launches.")
@click.argument("dest")
@click.option(
    "--by",
    type=click.Choice(["repo", "org", "provider", "member", "origin", "ref"]),
    default="repo",
    show_default=True,
    help="What to rank.",
)
@click.option("--last", metavar="DAYS", help="Number of days up to the newest, as 90d.")
@date_range("day")
@whole_number("-n", "n", default=25, of="Rows.")
@_with_output_options
def top(dest: str, by: str, n: int, form: str | None, **given: Any) -> None:
    """Rank what was launched most in the data set DEST, as 'run' left it.

    Shares are of all launches on these days. An origin is the host that was asked. Names that
    differ only in case are one name where their provider ignores case.
    """
    rollups = _open(dest, given)
    from daskbinder.answers import rank, select

    span = select.read_span(rollups, given["start"], given["end"], given["last"])
    rows = rank.top(rollups, by, span, n).to_pylist()
    columns = [*rank.BY[by], "n", "share"]
    _print_rows(form, columns, rows, by=by, start=span.first, end=span.last)


@click.command(short_help="Show all about one repository.")
@click.argument("dest")
@click.argument("name", type=TEXT, metavar="NAME|URL")
@click.option(
    "--provider", type=TEXT, metavar="NAME", help="Its provider, as GitHub.  [default: any]"
)
@_with_output_options
def repo(dest: str, name: str, provider: str | None, form: str | None, **given: Any) -> None:
    """Show how often a repository was launched, when, where and at which refs.

    NAME is owner/name or a DOI; URL is that of a repository or of a launch. With --csv, its
    launches by day.
    """
    rollups = _open(dest, given)
    from daskbinder.answers import rank

    repository = rank.repository(rollups, name, provider)
    if form == "json":
        tables = ("series", "by_member", "by_ref")
        print_json(
            vars(repository) | {name: getattr(repository, name).to_pylist() for name in tables}
        )
    elif form == "csv":
        print_csv(["date", "n"], repository.series.to_pylist())
    else:
        _show_repository(repository)


@click.command(short_help="Show the launches and share of each federation member.")
@click.argument("dest")
@click.option(
    "--by",
    type=click.Choice(["month", "quarter", "year"]),
    help="Period to count by.  [default: month]",
)
@click.option("--month", metavar="2025-01", help="Only this month.")
@click.option("--quarter", metavar="2025Q1", help="Only this quarter.")
@click.option("--year", metavar="2025", help="Only this year.")
@_with_output_options
def members(dest: str, by: str | None, form: str | None, **given: Any) -> None:
    """Show launches of each federation member, its share, and the change from a year before."""
    chosen = {name: given[name] for name in ("month", "quarter", "year") if given[name]}
    if len(chosen) + bool(by) > 1:
        raise click.UsageError("Give one of --by, --month, --quarter and --year.")
    rollups = _open(dest, given)
    from daskbinder.answers import rank
    from daskbinder.errors import InputError

    unit, period = next(iter(chosen.items()), (by or "month", None))
    rows = rank.members(rollups, unit).to_pylist()
    if period is not None:
        rows = [row for row in rows if row["period"] == period.upper()]
        if not rows:
            raise InputError(f"there are no launches in a {unit} called {period!r}")
    _print_rows(form, ["period", "member", "n", "share", "change"], rows, by=unit)


@click.command(short_help="Publish DEST as a static web site, with badges.")
@click.argument("dest")
@click.argument("out")
@whole_number(
    "--least",
    default=1000,
    of="Launches from which a repository or an organisation has a file of its own.",
)
@click.option("--no-pages", is_flag=True, help="Write JSON and badges only.")
@storage_options("DEST and OUT")
def export(dest: str, out: str, least: int, no_pages: bool, **given: Any) -> None:
    """Publish the data set DEST as static files in the folder OUT, for a web site.

    There are totals, members, organisations and repositories, each as JSON, badges for shields.io,
    a page for each repository and organisation, and one to search them all. Only files that changed
    are written; files of an earlier export that are no longer part of it are removed.
    """
    rollups = _open(dest, given)
    from daskbinder.answers.export import publish
    from daskbinder.storage.location import Location

    pages = None
    if not no_pages:
        from daskbinder.pages.site import SitePages

        pages = SitePages(rollups)
    done = publish(rollups, Location.at(out, given["storage_options"]), least, pages)
    click.echo(
        f"{plural(done.repositories, 'repository')}, {plural(done.organisations, 'organisation')}; "
        f"{done.files:,} files, {done.written:,} written, {done.removed:,} removed"
    )


def _open(dest: str, given: dict[str, Any]) -> "Rollups":
    hide_pandas()
    from daskbinder.dataset.rollups import open_rollups

    return open_rollups(dest, storage_options=given["storage_options"])


def _show_repository(repository: "Repository[Any]") -> None:
    print_facts(
        {
            "provider": repository.provider,
            "repository": readable(repository.name, 200),
            "organisation": repository.org or "none: the spec is not in its provider's form",
            "launches": f"{repository.total:,}, {repository.share:.2%} of all",
            "rank": f"{repository.rank:,}",
            "days with launches": f"{repository.days:,}",
            "first, last seen": f"{repository.first_seen}, {repository.last_seen}",
        }
    )
    click.echo(f"\n{_sparkline(repository)}\n")
    for name, table in (("member", repository.by_member), ("ref", repository.by_ref)):
        rows = table.slice(0, 10).to_pylist()
        print_table([name, "n", "share"], rows)
        if len(table) > len(rows):
            click.echo(f"and {len(table) - len(rows):,} more")
        click.echo("")


def _sparkline(repository: "Repository[Any]") -> str:
    """Draw launches from the first to the last day seen, in intervals of equal length."""
    first, last = repository.first_seen.toordinal(), repository.last_seen.toordinal()
    length = max((last - first + 1) / _WIDTH, 1)
    parts = [0] * (int((last - first) / length) + 1)
    for row in repository.series.to_pylist():
        parts[int((row["date"].toordinal() - first) / length)] += row["n"]
    sparks = _SPARKS
    try:
        sparks.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        sparks = _ASCII_SPARKS
    most = max(parts)
    return "".join(sparks[(len(sparks) - 1) * n // most] if n else " " for n in parts)
