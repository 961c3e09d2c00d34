"""A data set as static files for a web site: totals, members, organisations, repositories.

The same data set gives the same bytes, so a site published every night changes only where there
were launches.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import orjson
import pyarrow as pa

from daskbinder.answers import rank, select
from daskbinder.answers.subjects import Subject, Subjects, describe, organisations_of
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.storage.location import Location

INDEX = "index.json"
LEAST = 1000
"""Launches from which a repository or an organisation gets its own file."""

_TOP_LEVEL = {"totals.json", "members.json", "badges", "repos", "orgs"}
"""The rest of the top level of the tree."""
SITE = {"index.html", "site.css", "site.js"}
"""Pages, and what they need, at the top level."""
_COLOUR = "579aca"
_OURS = re.compile(r"(?:badges/)?(?:repos|orgs)(?:/[a-z0-9_~-][a-z0-9_~.-]*){2,3}\.(?:json|html)")


@dataclass(frozen=True)
class Publication:
    """Result of an export: files of repositories and organisations, all files, changed files."""

    repositories: int
    organisations: int
    files: int
    written: int
    removed: int


class Pages(Protocol):
    """Makes the pages of a tree."""

    def of_subject(self, subject: Subject) -> bytes:
        """Make the page of a repository or an organisation."""

    def at_top(self, index: dict[str, Any], totals: dict[str, Any]) -> dict[str, bytes]:
        """Make the files called `SITE`, from what the index and the totals say."""


def page_of(path: str) -> str:
    """Name the page beside a JSON file."""
    return f"{path.removesuffix('.json')}.html"


def publish(
    rollups: Rollups, out: Location, least: int = LEAST, pages: Pages | None = None
) -> Publication:
    """Write the tree, leaving unchanged files untouched.

    Files of an earlier export that are no longer part of the tree are removed. Foreign files are
    kept; if one has a name of the tree, nothing is written. Repositories and organisations with at
    least `least` launches get their own file.

    Raises
    ------
    InputError
        When `out` is the data set, or foreign files have names of the tree.
    """
    if out.path() == rollups.location.path():
        raise InputError(f"{out} is the data set; give another folder for the site")
    known = select.directory(rollups)
    repositories = Subjects.choose(known, "repository", least)
    organisations = Subjects.choose(organisations_of(known), "org", least)
    files = dict(_tree(rollups, known, repositories, organisations, least, pages))
    index = files.pop(INDEX)
    earlier = _claim(out, index)

    def write(item: tuple[str, bytes]) -> bool:
        differs = not out.holds(*item)
        if differs:
            out.write(*item)
        return differs

    if out.is_local:
        written = sum(map(write, files.items()))
    else:
        with ThreadPoolExecutor(out.concurrency) as pool:
            written = sum(pool.map(write, files.items()))
    stale = earlier - files.keys()
    for name in sorted(stale):
        out.remove(name)
    written += write((INDEX, index))
    return Publication(
        len(repositories.paths), len(organisations.paths), len(files) + 1, written, len(stale)
    )


class _Index(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The index of an export: name and path of each repository and organisation."""

    start: str
    end: str
    least: int
    repositories: list[tuple[str, str, int, str]]
    organisations: list[tuple[str, str, int, str]]
    pages: bool = False
    unfinished: bool = False

    def names(self) -> set[str]:
        """Names of the files that another export may lack.

        An index is untrusted, so only names that a tree can have are returned.
        """
        paths = {entry[-1] for entry in (*self.repositories, *self.organisations)}
        names = {*paths, *(f"badges/{path}" for path in paths)}
        if self.pages:
            names |= {*map(page_of, paths)}
        return {name for name in names if _OURS.fullmatch(name)} | (SITE if self.pages else set())

    def top_level(self) -> set[str]:
        """Names at the top level, without the index."""
        return _TOP_LEVEL | (SITE if self.pages else set())


def _claim(out: Location, index: bytes) -> set[str]:
    """Make sure that a tree may be written; return the names of the files of an earlier one.

    What is about to be written is recognised as ours from here on, also if the export is killed.
    """
    new = msgspec.json.decode(index, type=_Index)
    before = _exported_before(out)
    added = new.top_level() - (set() if before is None else before.top_level())
    if added and (foreign := sorted(_names_in_use(out) & added)):
        raise _not_ours(out, foreign[0])
    if added:
        started = new if before is None else msgspec.structs.replace(before, pages=True)
        out.write(INDEX, msgspec.json.encode(msgspec.structs.replace(started, unfinished=True)))
    return set() if before is None else before.names()


def _exported_before(out: Location) -> _Index | None:
    """Read the index of an earlier export, None if there was none."""
    try:
        saved = out.read(INDEX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(saved, type=_Index)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_ours(out, INDEX) from error


def _not_ours(out: Location, name: str) -> InputError:
    return InputError(
        f"{out}/{name} is not from an earlier export; "
        "remove it, or give another folder for the site"
    )


def _names_in_use(out: Location) -> set[str]:
    try:
        return {entry.name for entry in out.listing()}
    except (FileNotFoundError, NotADirectoryError, NotImplementedError):
        return set()


def badge(launches: int) -> dict[str, Any]:
    """The input for a badge of shields.io (https://shields.io/badges/endpoint-badge)."""
    return {
        "schemaVersion": 1,
        "label": "binder launches",
        "message": _short(launches),
        "color": _COLOUR,
    }


def _short(n: int) -> str:
    """Write a number in a few characters, rounded down."""
    for unit, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= unit:
            return f"{n // unit}{sign}" if n >= 10 * unit else f"{n * 10 // unit / 10:g}{sign}"
    return str(n)


def _tree(
    rollups: Rollups,
    known: pa.Table,
    repositories: Subjects,
    organisations: Subjects,
    least: int,
    pages: Pages | None,
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files, the index last."""
    contents = rollups.contents
    dates = {"start": contents.start.isoformat(), "end": contents.end.isoformat()}
    totals, members = _totals(rollups, known, dates | {"missing": contents.missing})
    yield "totals.json", _json(totals)
    yield "members.json", _json(members)
    yield "badges/totals.json", _json(badge(totals["launches"]))
    index: dict[str, Any] = dates | {"least": least} | ({"pages": True} if pages else {})
    for title, subjects in describe(rollups, repositories, organisations).items():
        index[title] = []
        for subject in subjects:
            facts, path = subject.facts, subject.path
            yield path, _json(facts)
            yield f"badges/{path}", _json(badge(facts["launches"]))
            if pages:
                yield page_of(path), pages.of_subject(subject)
            index[title].append([facts["provider"], subject.name, facts["launches"], path])
    if pages:
        yield from pages.at_top(index, totals).items()
    yield INDEX, _json(index)


def _totals(
    rollups: Rollups, known: pa.Table, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts about the whole archive, and about the members of the federation."""
    by_month: dict[str, int] = {}
    by_member: dict[str, dict[str, int]] = {}
    for row in rank.members(rollups, "month").to_pylist():
        by_month[row["period"]] = by_month.get(row["period"], 0) + row["n"]
        by_member.setdefault(row["member"], {})[row["period"]] = row["n"]
    providers = rank.ranked(rank.by_names(known, ["provider"]), None).to_pylist()
    totals = {
        **facts,
        "launches": sum(by_month.values()),
        "repositories": len(known),
        "by_provider": {row["provider"]: row["n"] for row in providers},
        "by_month": by_month,
    }
    members = {
        name: {"launches": sum(counts.values()), "by_month": counts}
        for name, counts in sorted(by_member.items())
    }
    return totals, members


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
