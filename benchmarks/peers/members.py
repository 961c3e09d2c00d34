"""Who stands behind a host on which day, as two small tables that any engine can join.

The facts come from the project's table, ``federation.toml``; the rules are worked out anew.
"""

import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "daskbinder" / "model" / "federation.toml"


def periods() -> list[tuple[str, date, str]]:
    """Host, day, and the member that the host means from that day on.

    The interval that holds a day decides, outside all of them the nearest, the earlier of two. So
    the time of each host falls into periods without gaps, the first from the calendar's first day.
    """
    hosts: dict[str, list[tuple[date, date, str]]] = {}
    for entry in _entries():
        first, last = entry.get("from", date.min), entry.get("to", date.max)
        hosts.setdefault(entry["host"], []).append((first, last, entry["member"]))
    found = []
    for host, intervals in hosts.items():
        intervals.sort()
        found.append((host, date.min, intervals[0][2]))
        for (_, last, _), (first, _, member) in pairwise(intervals):
            middle = (last.toordinal() + first.toordinal()) // 2
            found.append((host, date.fromordinal(middle + 1), member))
    return found


def lives() -> list[tuple[str, date, date]]:
    """Member, its first day and its last, which is the calendar's where it has not ended."""
    spans: dict[str, tuple[date, date]] = {}
    for entry in _entries():
        if "from" in entry or "to" in entry:
            first, last = entry.get("from", date.max), entry.get("to", date.max)
            begun, ended = spans.get(entry["member"], (first, last))
            spans[entry["member"]] = min(begun, first), max(ended, last)
    return [(name, begun, ended) for name, (begun, ended) in spans.items() if begun < date.max]


def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["host"]
    return entries
