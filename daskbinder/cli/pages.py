"""The commands that show a data set: explore and report."""

import click

from daskbinder.cli.options import storage_options
from daskbinder.redaction import StorageOptions, address_of


@click.command(short_help="Explore DEST in the browser.")
@click.argument("dest")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="Port on this machine.  [default: any free one]",
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@storage_options("DEST")
def explore(dest: str, port: int, no_browser: bool, storage_options: StorageOptions) -> None:
    """Explore what a run left in DEST: in the browser, until Ctrl-C.

    The server answers this machine only, and the page loads nothing from the network. The address
    of the page holds all that is chosen on it, and can be kept.
    """
    from daskbinder.dataset.rollups import open_rollups

    rollups = open_rollups(dest, storage_options=storage_options)
    click.echo("loading ...", err=True)

    from daskbinder.pages.explorer import serve

    try:
        serve(
            rollups,
            port=port,
            show=not no_browser,
            tell=lambda address: click.echo(f"{address}  (Ctrl-C ends)"),
        )
    except KeyboardInterrupt:
        click.echo()


@click.command(short_help="Write DEST as one HTML page.")
@click.argument("dest")
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Where to write it: a path or a URL.",
)
@storage_options("DEST")
def report(dest: str, output: str, storage_options: StorageOptions) -> None:
    """Write what a run left in DEST as one HTML page, to be published.

    It has figures that can be zoomed, tables by month and the top repositories, all in one file
    that loads nothing from the network.
    """
    from daskbinder.dataset.rollups import open_rollups
    from daskbinder.pages.report import write

    size = write(open_rollups(dest, storage_options=storage_options), output)
    click.echo(f"{size:,} bytes in {address_of(output)}")
