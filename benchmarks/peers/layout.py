"""What the peers share: the labels of windows, the names of columns, the folders."""

import argparse
import re
from datetime import date
from pathlib import Path

LABELS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}
"""Window to the strftime format of its label; DuckDB, Polars and pandas read the same codes."""

KEYS = (
    "schema",
    "version",
    "provider",
    "spec",
    "status",
    "origin",
    "build_token",
    "request_origin",
)
FIRST_HOST = "gke.mybinder.org"
"""The origin of launches from before the field existed."""


def command_line() -> argparse.ArgumentParser:
    """Make the parser of what every peer is told: the archive and the destination."""
    parser = argparse.ArgumentParser()
    parser.add_argument("archive", type=Path)
    parser.add_argument("dest", type=Path)
    return parser


def day_files(archive: Path) -> dict[date, Path]:
    """Map each day present in the archive to its file, in order."""
    found = {}
    for path in sorted(archive.iterdir()):
        match = re.fullmatch(r"events-(\d{4}-\d{2}-\d{2})\.jsonl", path.name)
        if match:
            found[date.fromisoformat(match[1])] = path
    return found


def folder(dest: Path, *parts: str) -> Path:
    """Create one folder under the destination and return it."""
    path = dest.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path
