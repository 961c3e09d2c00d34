"""The tables of repositories in DuckDB: launches by day and target, the directory, who was active.

Specs are read by rules of its own, as far as the sample archive needs them.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.peers.layout import folder

NAMED = """
CREATE TABLE named AS
    WITH cut AS (
        SELECT *, string_split(spec, '/') AS part, url_decode(spec) AS decoded FROM specs),
    read AS (
        SELECT provider, spec,
               CASE
                   WHEN provider IN ('GitHub', 'Gist') THEN part[1] || '/' || part[2]
                   WHEN provider IN ('GitLab', 'Git') THEN url_decode(part[1])
                   WHEN provider = 'Hydroshare' THEN regexp_extract(decoded, '[0-9a-f]{32}')
                   ELSE decoded END AS name,
               CASE WHEN provider IN ('GitHub', 'Gist') THEN array_to_string(part[3:], '/')
                    WHEN provider IN ('GitLab', 'Git') THEN array_to_string(part[2:], '/')
                    ELSE '' END AS ref
        FROM cut),
    told AS (
        SELECT provider, spec, coalesce(name, spec) AS repository,
               nullif(url_decode(ref), '') AS ref,
               CASE
                   WHEN name IS NULL THEN NULL
                   WHEN provider = 'Git' THEN array_to_string(string_split(name, '/')[3:4], '/')
                   WHEN provider = 'CKAN' THEN split_part(name, '/', 3)
                   WHEN provider = 'Hydroshare' THEN 'www.hydroshare.org'
                   ELSE split_part(name, '/', 1) END AS org
        FROM read)
    SELECT *,
           CASE WHEN provider IN ('Git', 'CKAN') THEN repository ELSE lower(repository) END AS same,
           dense_rank() OVER (ORDER BY provider, repository, ref) AS target,
           dense_rank() OVER (ORDER BY provider, same) AS code
    FROM told;
"""
"""From ``specs`` (provider, spec) to what each names: ``target`` numbers what was asked for, and
``code`` the repository, which is the same for names that differ in nothing but case."""

_LAUNCHED = """
CREATE TABLE launched AS
    SELECT date, federation, target, sum(n)::BIGINT AS n
    FROM daily JOIN named USING (provider, spec)
    JOIN by_host ON daily.timestamp::DATE = by_host.date AND daily.origin = by_host.origin
    GROUP BY ALL;

CREATE TABLE targets AS
    SELECT target, any_value(code) AS code, any_value(provider) AS provider,
           any_value(repository) AS repository, any_value(org) AS org, any_value(ref) AS ref
    FROM named GROUP BY target;

CREATE TABLE visits AS
    SELECT code, date, lead(date) OVER (PARTITION BY code ORDER BY date) AS following
    FROM (SELECT DISTINCT code, date FROM launched JOIN targets USING (target));
"""

_MONTHS = """
    SELECT strftime(month, '%Y-%m'), month::VARCHAR
    FROM (SELECT DISTINCT date_trunc('month', date)::DATE AS month FROM launched)"""

_ROWS = """
    SELECT date, federation, provider, repository, org, ref, n
    FROM launched JOIN targets USING (target)
    WHERE date >= '{first}' AND date < DATE '{first}' + INTERVAL 1 MONTH
    ORDER BY date"""

_DIRECTORY = """
CREATE TABLE directory AS
    WITH written AS (
        SELECT code, provider, repository, any_value(org) AS org, sum(n)::BIGINT AS n
        FROM launched JOIN targets USING (target) GROUP BY code, provider, repository),
    told AS (
        SELECT code, sum(n)::BIGINT AS n,
               arg_max(written, (n, -place)) AS name
        FROM (SELECT *, row_number() OVER (ORDER BY repository) AS place FROM written) AS written
        GROUP BY code)
    SELECT name.provider, name.repository, name.org, told.n, days, first_seen, last_seen
    FROM told JOIN (
        SELECT code, count(*) AS days, min(date) AS first_seen, max(date) AS last_seen
        FROM visits GROUP BY code) USING (code)
    ORDER BY told.n DESC, name.provider, name.repository;
"""

_ACTIVE = """
CREATE TABLE dates AS
    SELECT * FROM (SELECT date, date AS file FROM days)
    FULL JOIN (SELECT DISTINCT date FROM launched) USING (date);
CREATE TABLE activity ("window" VARCHAR, first DATE, last DATE, repositories BIGINT, days BIGINT);
"""

_CALENDAR = """
INSERT INTO activity
    SELECT '{name}', first, (first + INTERVAL 1 {name})::DATE - 1, coalesce(repositories, 0), days
    FROM (SELECT date_trunc('{name}', date)::DATE AS first, count(file) AS days
          FROM dates GROUP BY first)
    LEFT JOIN (SELECT date_trunc('{name}', date)::DATE AS first,
                      count(DISTINCT code) AS repositories
               FROM visits GROUP BY first) USING (first)
    ORDER BY first
"""

# A launch brings its repository into rolling windows, until they have left it behind or the next
# launch has taken its place.
_ROLLING = """
INSERT INTO activity
    WITH changes AS (
        SELECT date, sum(change) AS change
        FROM (SELECT date, 1 AS change FROM visits UNION ALL
              SELECT least(date + {length}, following), -1 FROM visits)
        GROUP BY date),
    summed AS (
        SELECT date, dates.date IS NOT NULL AS counts,
               sum(change) OVER (ORDER BY date) AS repositories,
               count(file) OVER (ORDER BY date RANGE INTERVAL ({length} - 1) DAYS PRECEDING) AS days
        FROM changes FULL JOIN dates USING (date))
    SELECT '{length}d', date - {length} + 1, date, coalesce(repositories, 0), days
    FROM summed WHERE counts
    ORDER BY date
"""


def build(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``launched``, ``targets``, ``directory`` and ``activity``.

    They come from the tables ``daily``, ``by_host`` and ``days``.
    """
    db.execute("CREATE TABLE specs AS SELECT DISTINCT provider, spec FROM daily")
    db.execute(NAMED + _LAUNCHED + _DIRECTORY + _ACTIVE)
    for name in ("day", "week", "month"):
        db.execute(_CALENDAR.format(name=name))
    for length in (7, 30, 90):
        db.execute(_ROLLING.format(length=length))


def results(db: duckdb.DuckDBPyConnection, dest: Path) -> Iterator[tuple[str, Path]]:
    """Give what is to be written, as a query and a file each."""
    into = folder(dest, "repositories", "by-day")
    for label, first in db.execute(_MONTHS).fetchall():
        yield _ROWS.format(first=first), into / f"{label}.parquet"
    yield "FROM directory", into.parent / "all.parquet"
    yield "FROM activity", into.parent / "active.parquet"
