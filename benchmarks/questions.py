"""Questions to a finished data set: right by DuckDB on the raw JSON, and how long they take.

DuckDB reads every line of the archive anew and names repositories by rules of its own, in SQL, for
specs as the sample archive has them. Nothing of ours is in it but the table of federation hosts.
"""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
from click.testing import CliRunner

from benchmarks.data import ROOT, Data
from benchmarks.peers.duckdb_repositories import NAMED
from benchmarks.peers.duckdb_sql import COLUMNS
from benchmarks.peers.layout import FIRST_HOST
from benchmarks.peers.members import periods
from benchmarks.results import Circumstances, Row, figures
from benchmarks.stopwatch import measure
from daskbinder.cli import main as commands

Say = Callable[[str], None]

LIMIT = 1.0
"""Seconds that a question may take as a whole process."""

_LAUNCHED = """
CREATE TABLE launched AS
    SELECT date, provider, repository, same, org, ref, origin, sum(n)::BIGINT AS n,
           coalesce(member, nullif(split_part(by_host.host, '.', 1), ''), 'unknown') AS member
    FROM (SELECT *, rtrim(lower(regexp_replace(origin, ':[0-9]+$', '')), '.') AS host
          FROM raw JOIN named USING (provider, spec)) AS by_host
    ASOF LEFT JOIN periods ON by_host.host = periods.host AND by_host.date >= periods.since
    GROUP BY ALL;
"""

_BY = {
    "repo": "provider, same",
    "org": "provider, CASE WHEN provider IN ('Git', 'CKAN') THEN org ELSE lower(org) END",
    "provider": "provider",
    "member": "member",
    "origin": "origin",
    "ref": "provider, same, ref",
}


def count_raw(archive: Path) -> duckdb.DuckDBPyConnection:
    """Count the lines of an archive by what the questions are about."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"""
        CREATE TABLE raw AS
            SELECT timestamp::DATE AS date, provider, spec,
                   coalesce(origin, '{FIRST_HOST}') AS origin, count(*) AS n
            FROM read_json('{archive}/events-*.jsonl', format = 'newline_delimited',
                           columns = {COLUMNS})
            GROUP BY ALL""")
    db.execute("CREATE TABLE periods (host VARCHAR, since DATE, member VARCHAR)")
    db.executemany("INSERT INTO periods VALUES (?, ?, ?)", periods())
    db.execute("CREATE TABLE specs AS SELECT DISTINCT provider, spec FROM raw")
    db.execute(NAMED + _LAUNCHED)
    return db


def differences(db: duckdb.DuckDBPyConnection, dest: Path) -> Iterator[str]:
    """Say where a data set, its tables or what the commands say of it, is not what was counted."""
    yield from _table(
        db,
        "by-day",
        "SELECT date, member, provider, repository, org, ref, sum(n) FROM launched GROUP BY ALL",
        f"SELECT * FROM '{dest}/repositories/by-day/*.parquet'",
    )
    yield from _table(
        db,
        "all",
        """SELECT provider, same, sum(n), count(DISTINCT date), min(date), max(date)
           FROM launched GROUP BY ALL""",
        f"""SELECT provider,
                CASE WHEN provider IN ('Git', 'CKAN') THEN repository ELSE lower(repository) END,
                n, days, first_seen, last_seen
            FROM '{dest}/repositories/all.parquet'""",
    )
    active = f"'{dest}/repositories/active.parquet'"
    for name in ("day", "week", "month"):
        yield from _table(
            db,
            f"active by {name}",
            f"""SELECT date_trunc('{name}', date)::DATE, count(DISTINCT (provider, same))
                FROM launched GROUP BY ALL""",
            f'SELECT "first", repositories FROM {active} WHERE "window" = \'{name}\'',
        )
    for days in (7, 30, 90):
        yield from _table(
            db,
            f"active in {days} days",
            f"""SELECT ends.date, count(DISTINCT visits.code)
                FROM (SELECT DISTINCT date FROM launched) AS ends
                JOIN (SELECT DISTINCT date, hash(provider, same) AS code FROM launched) AS visits
                ON visits.date BETWEEN ends.date - {days - 1} AND ends.date GROUP BY ALL""",
            f'SELECT "last", repositories FROM {active} WHERE "window" = \'{days}d\'',
        )
    yield from _commands(db, dest)


def _table(db: duckdb.DuckDBPyConnection, what: str, wanted: str, found: str) -> Iterator[str]:
    (lacking,), (strange,), (rows,) = (
        db.execute(f"SELECT count(*) FROM ({query})").fetchall()[0]
        for query in (
            f"({wanted}) EXCEPT ALL ({found})",
            f"({found}) EXCEPT ALL ({wanted})",
            found,
        )
    )
    if lacking or strange or not rows:
        yield f"{what}: {rows:,} rows, {lacking:,} lacking, {strange:,} too many"


def _commands(db: duckdb.DuckDBPyConnection, dest: Path) -> Iterator[str]:
    newest = db.execute("SELECT max(date) FROM launched").fetchall()[0][0]
    for by, names in _BY.items():
        for words, since in (((), date.min), (("--last", "90d"), newest - timedelta(days=89))):
            found = _said("top", dest, "--by", by, "-n", "100", *words)["rows"]
            wanted = db.execute(
                f"""SELECT sum(n)::BIGINT AS n FROM launched WHERE date >= ?
                    GROUP BY {names} ORDER BY n DESC LIMIT 100""",
                [since],
            ).fetchall()
            if [row["n"] for row in found] != [n for (n,) in wanted]:
                yield f"top --by {by} {' '.join(words)} does not say what was counted"
    found = _said("members", dest, "--by", "quarter")["rows"]
    wanted = db.execute(
        """SELECT year(date) || 'Q' || quarter(date), member, sum(n)::BIGINT FROM launched
           GROUP BY ALL"""
    ).fetchall()
    if {(row["period"], row["member"], row["n"]) for row in found} != set(wanted):
        yield "members does not say what was counted"
    middle = db.execute(
        """SELECT same, sum(n)::BIGINT FROM launched WHERE provider = 'GitHub'
           GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 1 OFFSET 1000"""
    ).fetchall()
    for name, n in middle:
        found = _said("repo", dest, name, "--provider", "GitHub")
        days = db.execute(
            """SELECT date::VARCHAR AS date, sum(n)::BIGINT AS n FROM launched
               WHERE provider = 'GitHub' AND same = ? GROUP BY ALL ORDER BY 1""",
            [name],
        ).fetchall()
        series = [(row["date"], row["n"]) for row in found["series"]]
        if (found["total"], series) != (n, days):
            yield f"repo {name} does not say what was counted"


def _said(*words: object) -> Any:
    ended = CliRunner().invoke(commands, [*map(str, words), "--json"], catch_exceptions=False)
    return json.loads(ended.stdout)


def ask(data: Data, dest: Path, repeat: int, say: Say) -> list[Row]:
    """Time each question as a whole process, start-up included."""
    circumstances = Circumstances.now()
    site = dest.with_name(f"{dest.name}-site")
    questions = {
        "top": ("top", dest),
        "top --last 90d": ("top", dest, "--last", "90d"),
        "top --by ref": ("top", dest, "--by", "ref"),
        "top --by origin": ("top", dest, "--by", "origin"),
        "repo": ("repo", dest, "ipython/ipython-in-depth"),
        "members": ("members", dest, "--by", "quarter"),
        "export": ("export", dest, site),
    }
    rows = []
    for name, words in questions.items():
        command = (sys.executable, "-m", "daskbinder", *map(str, words))
        took = [measure(command, cwd=ROOT) for _ in range(repeat)]
        say(f"{name}: {min(one.seconds for one in took):.2f} s")
        rows.append(
            Row(
                benchmark="ask",
                workload=str(data),
                contender=name,
                days=data.days,
                bytes=data.bytes,
                events=data.events,
                ratio=1.0,
                circumstances=circumstances,
                **figures(took),
            )
        )
    return rows
