"""A data set as a tree of static JSON for a web site: totals, members, organisations, repositories.

The same data set gives the same bytes, so a site that is published every night changes only where
launches were. Names that strangers chose become names of files by one rule, which no two of them
share, on any file system, and which leads nowhere else.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import rank, select
from daskbinder.counting.codes import Ints, sums
from daskbinder.counting.repositories import array_of
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model import specs
from daskbinder.storage.location import Location

INDEX = "index.json"
LEAST = 1000
"""Launches from which a repository or an organisation has a file of its own."""

_TOP = {"totals.json", "members.json", "badges", "repos", "orgs"}
"""What a publication has beside its index."""
_UNFINISHED = "unfinished"
_COLOUR = "579aca"
_SPECIAL = re.compile(r"[^a-z0-9_.-]|\A\.|\.\Z")
_LONGEST = 150
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")  # on Windows
_OURS = re.compile(r"(?:badges/)?(?:repos|orgs)(?:/[a-z0-9_~-][a-z0-9_~.-]*){2,3}\.json")


@dataclass(frozen=True)
class Publication:
    """What was published.

    Attributes
    ----------
    repositories, organisations : int
        Those that have a file.
    files : int
        Files of the tree.
    written, removed : int
        Files that changed, and those that are no longer part of it.
    """

    repositories: int
    organisations: int
    files: int
    written: int
    removed: int


def publish(rollups: Rollups, out: Location, least: int = LEAST) -> Publication:
    """Write the tree, and of it only what is not there yet.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    out : Location
        Where to. What an earlier publication left there and this one has not goes; files of others
        stay, and where they have names of this tree, nothing is written at all.
    least : int
        Launches from which a repository or an organisation has a file of its own.

    Returns
    -------
    Publication

    Raises
    ------
    InputError
        When `out` is the data set, or holds files of others under names of this tree.
    """
    if out.path() == rollups.location.path():
        raise InputError(f"{out} is the data set; give another folder for the site")
    known = select.directory(rollups)
    subjects = [_Subjects.of(known, column, least) for column in _LISTED]
    files = dict(_tree(rollups, known, subjects, least))
    index = files.pop(INDEX)
    before = _published(out)
    if before is None:  # a first publication that is killed is known for one of ours
        out.write(INDEX, _json(orjson.loads(index) | {_UNFINISHED: True}))
        before = set()

    def write(item: tuple[str, bytes]) -> bool:
        lacking = not out.holds(*item)
        if lacking:
            out.write(*item)
        return lacking

    gone = before - files.keys()
    if out.is_local:
        written = sum(map(write, files.items()))
    else:
        with ThreadPoolExecutor(out.concurrency) as pool:
            written = sum(pool.map(write, files.items()))
    for name in sorted(gone):
        out.remove(name)
    written += write((INDEX, index))
    repositories, organisations = (len(subject.path) for subject in subjects)
    return Publication(repositories, organisations, len(files) + 1, written, len(gone))


def _published(out: Location) -> set[str] | None:
    """Names of the files that an earlier publication left; None if there was none.

    Only such as are of this tree: the index may be anybody's.
    """
    try:
        saved = out.read(INDEX)
    except (FileNotFoundError, NotADirectoryError):
        foreign = _foreign(out)
        if foreign:
            raise _not_ours(out, foreign[0]) from None
        return None
    try:
        index = msgspec.json.decode(saved, type=_Index)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _not_ours(out, INDEX) from error
    paths = {str(entry[-1]) for entry in (*index.repositories, *index.organisations)}
    names = {f"{top}{path}" for path in paths for top in ("", "badges/")}
    return {name for name in names if _OURS.fullmatch(name)}


class _Index(msgspec.Struct, forbid_unknown_fields=True):
    """The index of a publication."""

    start: str
    end: str
    least: int
    repositories: list[tuple[str, str, int, str]]
    organisations: list[tuple[str, str, int, str]]
    unfinished: bool = False


def _foreign(out: Location) -> list[str]:
    """What lies where a publication would be, though there is no index of one."""
    try:
        return sorted({entry.name for entry in out.listing()} & _TOP)
    except (FileNotFoundError, NotADirectoryError, NotImplementedError):
        return []


def _not_ours(out: Location, name: str) -> InputError:
    return InputError(
        f"{out}/{name} is not of an earlier export; remove it, or give another folder for the site"
    )


def safe_name(text: str) -> str:
    """Name of a file or folder for any text: lower case, and different for different texts.

    Letters a to z, digits, ``_`` and ``-`` stand for themselves, dots too but at the ends; all
    other bytes of UTF-8 are written ``~`` and two hexadecimal digits. What is too long for a file
    system is cut, ``~~`` and a hash being what tells it from others.

    Examples
    --------
    >>> safe_name("Jupyter/.. demo")
    '~4aupyter~2f..~20demo'
    """
    found = _SPECIAL.sub(lambda sign: "".join(f"~{byte:02x}" for byte in sign[0].encode()), text)
    if _RESERVED.match(found):
        found = f"~{ord(found[0]):02x}{found[1:]}"
    if len(found) > _LONGEST:
        found = f"{found[:_LONGEST]}~~{hashlib.sha256(text.encode()).hexdigest()[:40]}"
    return found


def paths_of(provider: pa.Array, org: pa.Array, repository: pa.Array | None = None) -> list[str]:
    """Where the files of organisations or of repositories are.

    Names that mean one thing have one path: where their provider does not tell case, they stand in
    lower case.
    """
    columns = [provider.to_pylist(), specs.keys(provider, org).to_pylist()]
    if repository is None:
        named = zip(*columns, strict=True)
        return [f"orgs/{safe_name(at.lower())}/{safe_name(owner)}.json" for at, owner in named]
    columns.append(specs.keys(provider, repository).to_pylist())
    return [
        f"repos/{safe_name(at.lower())}/{safe_name(owner)}/"
        f"{safe_name(name.removeprefix(f'{owner}/'))}.json"
        for at, owner, name in zip(*columns, strict=True)
    ]


def badge(launches: int) -> dict[str, Any]:
    """What shields.io makes a badge of (https://shields.io/badges/endpoint-badge)."""
    return {
        "schemaVersion": 1,
        "label": "binder launches",
        "message": _short(launches),
        "color": _COLOUR,
    }


def _short(n: int) -> str:
    """Write a number in a few signs, cut rather than rounded up."""
    for unit, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= unit:
            return f"{n // unit}{sign}" if n >= 10 * unit else f"{n * 10 // unit / 10:g}{sign}"
    return str(n)


@dataclass(frozen=True)
class _Subjects:
    """Repositories or organisations that have a file of their own, the most launched first.

    Attributes
    ----------
    column : str
        What they are in the tables: ``"repository"`` or ``"org"``.
    table : pyarrow.Table
        What is told of each: names, ``n``, and more.
    path : list of str
        Where the file of each is.
    """

    column: str
    table: pa.Table
    path: list[str]

    @classmethod
    def of(cls, known: pa.Table, column: str, least: int) -> "_Subjects":
        known = known.filter(pc.is_valid(known["org"]))
        if column == "org":
            known = _organisations(known)
        known = known.filter(pc.greater_equal(known["n"], least))
        names = ["org", "repository"] if column == "repository" else ["org"]
        texts = (known[name].cast(pa.string()) for name in ("provider", *names))
        path = paths_of(*texts)
        return cls(column, known, path)


def _organisations(known: pa.Table) -> pa.Table:
    """Add the rows of a directory up by organisation."""
    known = _encoded(known)
    totals = rank.by_names(known, ("provider", "org"))
    at = select.locate(known, totals, "org")
    first, last = (known[name].cast(pa.int32()).to_numpy() for name in ("first_seen", "last_seen"))
    seen = np.full(len(totals), np.iinfo(np.int32).max, np.int32), np.zeros(len(totals), np.int32)
    np.minimum.at(seen[0], at, first)
    np.maximum.at(seen[1], at, last)
    found = totals.append_column("repositories", pa.array(np.bincount(at, minlength=len(totals))))
    for name, days in zip(("first_seen", "last_seen"), seen, strict=True):
        found = found.append_column(name, pa.array(days).cast(pa.date32()))
    order = [("n", "descending"), ("provider", "ascending"), ("org", "ascending")]
    return found.sort_by(order)


def _encoded(table: pa.Table) -> pa.Table:
    for name in ("provider", "org"):
        column = array_of(table[name]).dictionary_encode()
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


@dataclass(frozen=True)
class _Series:
    """Launches of some subjects by one thing: its names, and for each subject a count a name."""

    names: list[str]
    counts: list[list[int]]

    def of(self, subject: int) -> dict[str, int]:
        """What to tell of one."""
        return {name: n for name, n in zip(self.names, self.counts[subject], strict=True) if n}


def _series(rollups: Rollups, subjects: Sequence[_Subjects]) -> list[dict[str, _Series]]:
    """Count the launches of subjects by month and by member, reading a month at a time."""

    def count(rows: pa.Table) -> list[tuple[list[str], Ints]]:
        members = array_of(rows["federation"])
        names = members.dictionary.to_pylist()
        n, member = rows["n"].to_numpy(), members.indices.to_numpy().astype(np.int64)
        found = []
        for subject in subjects:
            at, size = select.locate(rows, subject.table, subject.column), len(subject.table)
            chosen = np.flatnonzero(at >= 0)
            cells = member[chosen] * size + at[chosen]
            counts = sums(cells, n[chosen], len(names) * size)
            found.append((names, counts.reshape(len(names), size)))
        return found

    files = select.months(rollups, select.whole(rollups))
    columns = ["federation", "provider", *(subject.column for subject in subjects), "n"]
    counted = select.from_each(rollups, files, count, columns)
    labels = [name[-15:-8] for name in files]
    found = []
    for location, subject in enumerate(subjects):
        of_months = [month[location] for month in counted]
        members = sorted({name for names, _ in of_months for name in names})
        by_member = np.zeros((len(members), len(subject.table)), np.int64)
        for named, counts in of_months:
            by_member[[members.index(name) for name in named]] += counts
        by_month = np.array([counts.sum(axis=0) for _, counts in of_months], np.int64)
        by_month = by_month.reshape(len(labels), len(subject.table))
        found.append(
            {
                "by_month": _Series(labels, by_month.T.tolist()),
                "by_member": _Series(members, by_member.T.tolist()),
            }
        )
    return found


def _tree(
    rollups: Rollups, known: pa.Table, subjects: Sequence[_Subjects], least: int
) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files."""
    members = rank.members(rollups, "month").to_pylist()
    by_month: dict[str, int] = {}
    by_member: dict[str, dict[str, int]] = {}
    for row in members:
        by_month[row["period"]] = by_month.get(row["period"], 0) + row["n"]
        by_member.setdefault(row["member"], {})[row["period"]] = row["n"]
    providers = rank.ranked(rank.by_names(known, ["provider"]), None).to_pylist()
    launches = sum(by_month.values())
    days = {"start": f"{rollups.contents.start}", "end": f"{rollups.contents.end}"}
    yield "badges/totals.json", _json(badge(launches))
    yield (
        "totals.json",
        _json(
            {
                **days,
                "missing": [day.isoformat() for day in rollups.contents.missing],
                "launches": launches,
                "repositories": len(known),
                "by_provider": {row["provider"]: row["n"] for row in providers},
                "by_month": by_month,
            }
        ),
    )
    yield (
        "members.json",
        _json(
            {
                name: {"launches": sum(counts.values()), "by_month": counts}
                for name, counts in sorted(by_member.items())
            }
        ),
    )
    index: dict[str, Any] = {**days, "least": least}
    for subject, series in zip(subjects, _series(rollups, subjects), strict=True):
        listed = index[_LISTED[subject.column]] = []
        for location, (row, path) in enumerate(
            zip(subject.table.to_pylist(), subject.path, strict=True)
        ):
            facts = {"launches" if name == "n" else name: value for name, value in row.items()}
            told = {by: one.of(location) for by, one in series.items()}
            yield path, _json(facts | told)
            yield f"badges/{path}", _json(badge(row["n"]))
            listed.append([row["provider"], row[subject.column], row["n"], path])
    yield INDEX, _json(index)


_LISTED = {"repository": "repositories", "org": "organisations"}


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
