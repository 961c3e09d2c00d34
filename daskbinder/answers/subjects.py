"""Repositories and organisations that are published, each with all that is known of it.

Names, which anyone can choose, become file names that are unique, valid on any file system, and
never lead out of the tree.
"""

import hashlib
import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import rank, select
from daskbinder.counting.codes import Ints, as_array, sum_groups
from daskbinder.dataset.rollups import Rollups
from daskbinder.model import specs

_MOST_REFS = 10
_SPECIAL = re.compile(r"[^a-z0-9_.-]|\A\.|\.\Z")
_MAX_NAME = 150
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")  # on Windows


class Subject(NamedTuple):
    """A repository or an organisation that has a file of its own.

    Attributes
    ----------
    facts : dict
        What its file says.
    path : str
        Where that is.
    rank : int
        1 for the most launched of its kind; those with equal launches share a rank.
    repositories : list of Subject
        The repositories of an organisation that have a file; none for a repository.
    """

    facts: dict[str, Any]
    path: str
    rank: int
    repositories: "list[Subject]"

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.facts.get("repository", self.facts["org"])
        return name


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


class Subjects(NamedTuple):
    """Repositories or organisations that have a file of their own, the most launched first."""

    column: str  # "repository" or "org"
    table: pa.Table
    ranks: list[int]
    paths: list[str]

    @classmethod
    def choose(cls, table: pa.Table, column: str, least: int) -> "Subjects":
        """Choose those with at least `least` launches, whose organisation is known."""
        is_chosen = pc.and_(pc.is_valid(table["org"]), pc.greater_equal(table["n"], least))
        ascending = -table["n"].to_numpy()
        table = table.filter(is_chosen)
        ranks = (np.searchsorted(ascending, -table["n"].to_numpy()) + 1).tolist()
        provider = table["provider"].cast(pa.string())
        org, name = (specs.keys(provider, table[each]).to_pylist() for each in ("org", column))
        rows = zip(provider.to_pylist(), org, name, strict=True)
        return cls(column, table, ranks, [_path(column, *row) for row in rows])

    def describe(self, counts: "dict[str, _Counts]") -> list[Subject]:
        """Gather the facts of each."""
        described: list[Subject] = []
        rows = zip(self.table.to_pylist(), self.paths, self.ranks, strict=True)
        for number, (row, path, place) in enumerate(rows):
            facts = {"launches" if name == "n" else name: value for name, value in row.items()}
            facts |= {by: count.of(number) for by, count in counts.items()}
            described.append(Subject(facts, path, place, []))
        return described


def _path(column: str, provider: str, org: str, name: str) -> str:
    """Path of a file; names that mean the same share one path, in the case of their key."""
    folder, parts = "orgs", [provider.lower(), org]
    if column == "repository":
        folder, parts = "repos", [*parts, name.removeprefix(f"{org}/")]
    return f"{folder}/{'/'.join(map(safe_name, parts))}.json"


def organisations_of(known: pa.Table) -> pa.Table:
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


def _count(
    rollups: Rollups, repositories: Subjects, organisations: Subjects
) -> tuple[list[dict[str, _Counts]], list[dict[str, int]]]:
    """Count the launches of subjects, reading the file of each month once.

    Returns counts by month and by member, for repositories and for organisations, and the launches
    of the most launched refs of each repository.
    """
    kinds = repositories, organisations

    def count(rows: pa.Table) -> tuple[list[_Counts], pa.Table]:
        members = as_array(rows["federation"])
        names, n = members.dictionary.to_pylist(), rows["n"].to_numpy()
        member = members.indices.to_numpy().astype(np.int64)
        owners = [select.row_numbers(rows, kind.table, kind.column) for kind in kinds]
        found = []
        for kind, row in zip(kinds, owners, strict=True):
            size, chosen = len(kind.table), np.flatnonzero(row >= 0)
            counts = sum_groups(member[chosen] * size + row[chosen], n[chosen], len(names) * size)
            found.append(_Counts(names, counts.reshape(len(names), size)))
        return found, _sum_refs(rows.select(["ref", "n"]).append_column("row", pa.array(owners[0])))

    files = select.month_files(rollups, select.all_days(rollups))
    columns = ["federation", "provider", *(kind.column for kind in kinds), "ref", "n"]
    counted = select.from_files(rollups, files, count, columns)
    labels = [name[-15:-8] for name in files]
    found = []
    for number, kind in enumerate(kinds):
        months = [counts[number] for counts, _ in counted]
        members = sorted({name for month in months for name in month.names})
        by_member = np.zeros((len(members), len(kind.table)), np.int64)
        for month in months:
            by_member[[members.index(name) for name in month.names]] += month.grid
        by_month = np.array([month.grid.sum(axis=0) for month in months])
        found.append(
            {"by_month": _Counts(labels, by_month), "by_member": _Counts(members, by_member)}
        )
    return found, _most_refs(
        pa.concat_tables([refs for _, refs in counted]), len(repositories.paths)
    )


def _sum_refs(rows: pa.Table) -> pa.Table:
    """Add up launches by repository, a number in `row`, and ref."""
    rows = rows.set_column(0, "ref", as_array(rows["ref"]).cast(pa.string()))
    rows = rows.filter(pc.greater_equal(rows["row"], 0)).group_by(["row", "ref"], use_threads=False)
    return rows.aggregate([("n", "sum")]).rename_columns(["row", "ref", "n"])


def _most_refs(rows: pa.Table, repositories: int) -> list[dict[str, int]]:
    """Launches of the most launched refs of each repository."""
    order = [("row", "ascending"), ("n", "descending"), ("ref", "ascending")]
    found: list[dict[str, int]] = [{} for _ in range(repositories)]
    for row in _sum_refs(rows.select(["ref", "n", "row"])).sort_by(order).to_pylist():
        if len(refs := found[row["row"]]) < _MOST_REFS:
            refs[row["ref"] or ""] = row["n"]
    return found


def describe(
    rollups: Rollups, repositories: Subjects, organisations: Subjects
) -> dict[str, list[Subject]]:
    """Gather all that is known of repositories and of organisations, the most launched first."""
    (of_repositories, of_organisations), refs = _count(rollups, repositories, organisations)
    described = repositories.describe(of_repositories)
    of_org: dict[int, list[Subject]] = {}
    org = select.row_numbers(repositories.table, organisations.table, "org").tolist()
    for row, subject in zip(org, described, strict=True):
        of_org.setdefault(row, []).append(subject)
    for subject, by_ref in zip(described, refs, strict=True):
        subject.facts["by_ref"] = by_ref
    return {
        "repositories": described,
        "organisations": [
            subject._replace(repositories=of_org.get(row, []))
            for row, subject in enumerate(organisations.describe(of_organisations))
        ],
    }
