"""Archives that change between runs, and what a run must end as."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import daskbinder as db

FIRST = date(2020, 12, 26)
PAST = {"unknown_origins", "shrunk", "absent"}
"""What a manifest says of data that are no more."""
Day = list[dict[str, Any]]


def data(dest: Path) -> dict[str, bytes]:
    """Every file of a data set but the manifest, which says when and whence."""
    return {
        str(path.relative_to(dest)): path.read_bytes()
        for path in sorted(dest.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def facts(dest: Path) -> dict[str, Any]:
    """What the manifest says of the data as they are, and not as they once were."""
    manifest = json.loads((dest / "manifest.json").read_bytes())
    return {name: manifest[name] for name in manifest.keys() - PAST}


def equals_a_rebuild(folder: Path, dest: Path, spare: Path) -> None:
    db.run(db.plan(db.Archive(folder), spare, full=True))
    found, expected = data(dest), data(spare)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    found_facts, expected_facts = facts(dest), facts(spare)
    for name, fact in expected_facts.items():
        assert found_facts[name] == fact, name


class Writer:
    """Rewrites day files; each writing has a time of its own, as on any real file system."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, 1_600_000_000

    def write(self, day: date, events: Day) -> None:
        path = self.folder / f"events-{day}.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        self.clock += 1
        os.utime(path, (self.clock, self.clock))

    def remove(self, day: date) -> None:
        (self.folder / f"events-{day}.jsonl").unlink(missing_ok=True)
