"""A data set as a tree of static JSON for a web site: totals, members, organisations, repositories.

The same data set gives the same bytes, so a site published every night changes only where there
were launches. Names, which anyone can choose, become file names that are unique, valid on any file
system, and never lead out of the tree.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import rank, select
from daskbinder.counting.codes import Ints, as_array, sum_groups
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model import specs
from daskbinder.storage.location import Location

INDEX = "index.json"
LEAST = 1000
"""Launches from which a repository or an organisation gets its own file."""

_TOP_LEVEL = {"totals.json", "members.json", "badges", "repos", "orgs"}
"""The top level of the tree, without the index."""
_COLOUR = "579aca"
_SPECIAL = re.compile(r"[^a-z0-9_.-]|\A\.|\.\Z")
_MAX_NAME = 150
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")  # on Windows
_OURS = re.compile(r"(?:badges/)?(?:repos|orgs)(?:/[a-z0-9_~-][a-z0-9_~.-]*){2,3}\.json")


@dataclass(frozen=True)
class Publication:
    """Result of an export: files of repositories and organisations, all files, changed files."""

    repositories: int
    organisations: int
    files: int
    written: int
    removed: int


def publish(rollups: Rollups, out: Location, least: int = LEAST) -> Publication:
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
    repositories = _Subjects.choose(known, "repository", least)
    organisations = _Subjects.choose(_organisations(known), "org", least)
    files = dict(_tree(rollups, known, repositories, organisations, least))
    index = files.pop(INDEX)
    before = _exported_before(out)
    if before is None:  # so that a first export that is killed is recognised as ours
        out.write(INDEX, _json(orjson.loads(index) | {"unfinished": True}))
        before = set()

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
    stale = before - files.keys()
    for name in sorted(stale):
        out.remove(name)
    written += write((INDEX, index))
    return Publication(
        len(repositories.paths), len(organisations.paths), len(files) + 1, written, len(stale)
    )


class _Index(msgspec.Struct, forbid_unknown_fields=True):
    """The index of an export: name and path of each repository and organisation."""

    start: str
    end: str
    least: int
    repositories: list[tuple[str, str, int, str]]
    organisations: list[tuple[str, str, int, str]]
    unfinished: bool = False


def _exported_before(out: Location) -> set[str] | None:
    """Names of the files of an earlier export, None if there was none.

    The index is untrusted, so only names that a tree can have are returned.
    """

    def not_ours(name: str) -> InputError:
        return InputError(
            f"{out}/{name} is not from an earlier export; "
            "remove it, or give another folder for the site"
        )

    try:
        saved = out.read(INDEX)
    except (FileNotFoundError, NotADirectoryError):
        if foreign := _names_in_use(out):
            raise not_ours(foreign[0]) from None
        return None
    try:
        index = msgspec.json.decode(saved, type=_Index)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise not_ours(INDEX) from error
    paths = {entry[-1] for entry in (*index.repositories, *index.organisations)}
    names = {f"{folder}{path}" for path in paths for folder in ("", "badges/")}
    return {name for name in names if _OURS.fullmatch(name)}


def _names_in_use(out: Location) -> list[str]:
    try:
        return sorted({entry.name for entry in out.listing()} & _TOP_LEVEL)
    except (FileNotFoundError, NotADirectoryError, NotImplementedError):
        return []


def safe_name(text: str) -> str:
    """Name a file or folder for any text: in lower case, and different for different texts.

    Letters a to z, digits, ``_``, ``-`` and inner dots stand for themselves; every other byte of
    UTF-8 becomes ``~`` and two hexadecimal digits. A name too long for a file system is cut and
    ends in ``~~`` and a hash.

    Examples
    --------
    >>> safe_name("Jupyter/.. demo")
    '~4aupyter~2f..~20demo'
    """
    name = _SPECIAL.sub(lambda sign: "".join(f"~{byte:02x}" for byte in sign[0].encode()), text)
    if _RESERVED.match(name):
        name = f"~{ord(name[0]):02x}{name[1:]}"
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}~~{hashlib.sha256(text.encode()).hexdigest()[:40]}"
    return name


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


class _Subjects(NamedTuple):
    """Repositories or organisations that have a file of their own, the most launched first."""

    column: str  # "repository" or "org"
    table: pa.Table
    paths: list[str]

    @classmethod
    def choose(cls, table: pa.Table, column: str, least: int) -> "_Subjects":
        is_chosen = pc.and_(pc.is_valid(table["org"]), pc.greater_equal(table["n"], least))
        table = table.filter(is_chosen)
        provider = table["provider"].cast(pa.string())
        org, name = (specs.keys(provider, table[each]).to_pylist() for each in ("org", column))
        rows = zip(provider.to_pylist(), org, name, strict=True)
        return cls(column, table, [_path(column, *row) for row in rows])


def _path(column: str, provider: str, org: str, name: str) -> str:
    """Path of a file; names that mean the same share one path, in the case of their key."""
    folder, parts = "orgs", [provider.lower(), org]
    if column == "repository":
        folder, parts = "repos", [*parts, name.removeprefix(f"{org}/")]
    return f"{folder}/{'/'.join(map(safe_name, parts))}.json"


def _organisations(known: pa.Table) -> pa.Table:
    """Add up the rows of a directory by organisation."""
    totals = rank.by_names(known, ("provider", "org"))
    known = known.append_column("row", pa.array(select.row_numbers(known, totals, "org")))
    groups = known.group_by("row", use_threads=False)
    facts = groups.aggregate([("row", "count"), ("first_seen", "min"), ("last_seen", "max")])
    facts = facts.sort_by("row").drop_columns("row")
    for name, column in zip(("repositories", "first_seen", "last_seen"), facts, strict=True):
        totals = totals.append_column(name, column)
    return totals.sort_by([("n", "descending"), ("provider", "ascending"), ("org", "ascending")])


class _Counts(NamedTuple):
    """Launches of subjects by month or by member: a row of `grid` for each of `names`."""

    names: list[str]
    grid: Ints

    def of(self, subject: int) -> dict[str, int]:
        counts = zip(self.names, self.grid[:, subject].tolist(), strict=True)
        return {name: n for name, n in counts if n}


def _count_by_month_and_member(
    rollups: Rollups, subjects: tuple[_Subjects, ...]
) -> list[dict[str, _Counts]]:
    """Count the launches of subjects, reading the file of each month once."""

    def count(rows: pa.Table) -> list[_Counts]:
        members = as_array(rows["federation"])
        names, n = members.dictionary.to_pylist(), rows["n"].to_numpy()
        member = members.indices.to_numpy().astype(np.int64)
        found = []
        for subject in subjects:
            row, size = select.row_numbers(rows, subject.table, subject.column), len(subject.table)
            chosen = np.flatnonzero(row >= 0)
            counts = sum_groups(member[chosen] * size + row[chosen], n[chosen], len(names) * size)
            found.append(_Counts(names, counts.reshape(len(names), size)))
        return found

    files = select.month_files(rollups, select.all_days(rollups))
    columns = ["federation", "provider", *(subject.column for subject in subjects), "n"]
    counted = select.from_files(rollups, files, count, columns)
    labels = [name[-15:-8] for name in files]
    found = []
    for number, subject in enumerate(subjects):
        months = [counts[number] for counts in counted]
        members = sorted({name for month in months for name in month.names})
        by_member = np.zeros((len(members), len(subject.table)), np.int64)
        for month in months:
            by_member[[members.index(name) for name in month.names]] += month.grid
        by_month = np.array([month.grid.sum(axis=0) for month in months])
        found.append(
            {"by_month": _Counts(labels, by_month), "by_member": _Counts(members, by_member)}
        )
    return found


def _tree(
    rollups: Rollups, known: pa.Table, repositories: _Subjects, organisations: _Subjects, least: int
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files, the index last."""
    contents = rollups.contents
    dates = {"start": contents.start, "end": contents.end}
    yield from _totals(rollups, known, dates | {"missing": contents.missing})
    counts = _count_by_month_and_member(rollups, (repositories, organisations))
    index: dict[str, Any] = dates | {"least": least}
    titles = ("repositories", "organisations")
    for title, subjects, series in zip(titles, (repositories, organisations), counts, strict=True):
        listed = index[title] = []
        rows = zip(subjects.table.to_pylist(), subjects.paths, strict=True)
        for number, (row, path) in enumerate(rows):
            facts = {"launches" if name == "n" else name: value for name, value in row.items()}
            yield path, _json(facts | {by: count.of(number) for by, count in series.items()})
            yield f"badges/{path}", _json(badge(row["n"]))
            listed.append([row["provider"], row[subjects.column], row["n"], path])
    yield INDEX, _json(index)


def _totals(
    rollups: Rollups, known: pa.Table, facts: Mapping[str, Any]
) -> Iterator[tuple[str, bytes]]:
    """Files about the whole archive and about the members of the federation."""
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
    yield "badges/totals.json", _json(badge(totals["launches"]))
    yield "totals.json", _json(totals)
    yield "members.json", _json(members)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
