"""Plans and runs in one call."""

from pathlib import Path
from typing import Any

from distributed import Client

import daskbinder as db


def run(
    source: Path | str | db.Archive, dest: Path | str, client: Client | None = None, **options: Any
) -> db.Result:
    """Count an archive into a folder; options are those of `daskbinder.plan`."""
    archive = source if isinstance(source, db.Archive) else db.Archive(source)
    return db.run(db.plan(archive, dest, **options), client)
