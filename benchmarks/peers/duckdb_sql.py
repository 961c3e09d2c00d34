"""The whole job in DuckDB: one scan into an hourly table, then one COPY a window on two cursors.

``COPY ... PARTITION_BY`` was tried too: it holds every open file's buffer and took longer.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.peers import duckdb_repositories as repositories
from benchmarks.peers.layout import FIRST_HOST, KEYS, LABELS, command_line, day_files, folder
from benchmarks.peers.members import lives, periods

COLUMNS = """{
    timestamp: 'TIMESTAMP', schema: 'VARCHAR', version: 'BIGINT', provider: 'VARCHAR',
    spec: 'VARCHAR', status: 'VARCHAR', origin: 'VARCHAR', build_token: 'BOOLEAN',
    request_origin: 'VARCHAR'}"""
KEY = ", ".join(f'"{key}"' for key in KEYS)
FILLED = KEY.replace('"origin"', f"coalesce(origin, '{FIRST_HOST}') AS origin", 1)
SERIES_TABLES = ("by_hour", "by_day")
GRAINS = (("by-hour", "hourly"), ("by-day", "daily"))

SERIES = """
CREATE TABLE by_host AS
    WITH asked AS (
        SELECT DISTINCT timestamp::DATE AS date, origin,
               rtrim(lower(regexp_replace(origin, ':[0-9]+$', '')), '.') AS host
        FROM daily)
    SELECT date, origin,
           coalesce(member, nullif(split_part(asked.host, '.', 1), ''), 'unknown') AS federation
    FROM asked ASOF LEFT JOIN periods ON asked.host = periods.host AND asked.date >= periods.since;

CREATE TABLE member_hours AS
    WITH by_origin AS (
        SELECT timestamp, timestamp::DATE AS date, origin, sum(n) AS n FROM hourly GROUP BY ALL)
    SELECT timestamp, date, sum(n)::BIGINT AS n, federation
    FROM by_origin JOIN by_host USING (date, origin)
    GROUP BY ALL;

CREATE TABLE active AS
    SELECT federation, least(begun, min(date)) AS begun, greatest(ended, max(date)) AS ended
    FROM member_hours FULL JOIN lives USING (federation)
    GROUP BY federation, lives.begun, lives.ended
    HAVING least(begun, min(date)) IS NOT NULL;

CREATE TABLE by_hour AS
    SELECT timestamp, federation, coalesce(n, 0) AS n
    FROM (SELECT date + to_hours(hour) AS timestamp, federation
          FROM days JOIN active ON date BETWEEN begun AND ended, range(24) AS hours(hour))
    FULL JOIN (SELECT timestamp, federation, n FROM member_hours)
    USING (timestamp, federation)
    ORDER BY ALL;

CREATE TABLE by_day AS
    WITH counted AS (SELECT date, federation, sum(n) AS n FROM member_hours GROUP BY ALL),
    every_day AS (
        SELECT date, days.date IS NOT NULL AS present
        FROM days FULL JOIN (SELECT DISTINCT date FROM counted) USING (date)),
    grid AS (
        SELECT date, present, federation, begun, ended, n
        FROM every_day CROSS JOIN active LEFT JOIN counted USING (date, federation)),
    averaged AS (
        SELECT *, sum(CASE WHEN present THEN n END) OVER last_seven AS launches,
               count(*) FILTER (WHERE present) OVER last_seven AS days
        FROM grid
        WINDOW last_seven AS (
            PARTITION BY federation ORDER BY date
            RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW))
    SELECT date::TIMESTAMP AS timestamp, federation, coalesce(n, 0)::BIGINT AS n,
           coalesce(launches, 0)::DOUBLE / nullif(days, 0) AS mean_7d
    FROM averaged
    WHERE n IS NOT NULL OR (present AND date BETWEEN begun AND ended)
    ORDER BY timestamp, federation;
"""


def main(archive: Path, dest: Path, rollups_only: bool = False) -> dict[str, int]:
    """Write all results and return the launches in each."""
    files = day_files(archive)
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"""
        CREATE TABLE hourly AS
            SELECT date_trunc('hour', timestamp) AS timestamp, {FILLED}, count(*) AS n
            FROM read_json('{archive}/events-*.jsonl', format = 'newline_delimited',
                           columns = {COLUMNS})
            GROUP BY ALL ORDER BY timestamp""")
    db.execute(f"""
        CREATE TABLE daily AS
            SELECT date_trunc('day', timestamp) AS timestamp, {KEY}, sum(n)::BIGINT AS n
            FROM hourly GROUP BY ALL ORDER BY timestamp""")
    db.execute("CREATE TABLE periods (host VARCHAR, since DATE, member VARCHAR)")
    db.execute("CREATE TABLE lives (federation VARCHAR, begun DATE, ended DATE)")
    db.execute("CREATE TABLE days (date DATE)")
    db.execute(f"INSERT INTO periods VALUES {_values(periods())}")
    db.execute(f"INSERT INTO lives VALUES {_values(lives())}")
    db.execute(f"INSERT INTO days VALUES {_values([(day,) for day in files])}")
    db.execute(SERIES)

    wanted = list(_results(db, dest))
    totals = {
        f"{window}/{grain}": _total(db, table) for grain, table in GRAINS for window in LABELS
    }
    totals |= {f"federation/{table}": _total(db, table) for table in SERIES_TABLES}
    if not rollups_only:
        repositories.build(db)
        wanted += repositories.results(db, dest)
        totals |= {"repositories/by-day": _total(db, "launched")}
        totals |= {"repositories/all": _total(db, "directory")}
    threads = os.cpu_count() or 1
    db.execute("SET threads = 1")  # small files: one thread each, several at a time
    with ThreadPoolExecutor(threads) as pool:
        hands = [(db.cursor(), wanted[hand::threads]) for hand in range(threads)]
        list(pool.map(_write, *zip(*hands, strict=True)))
    return totals


def _results(db: duckdb.DuckDBPyConnection, dest: Path) -> Iterator[tuple[str, Path]]:
    """Rollups and series, as a query and a file each."""
    for grain, table in GRAINS:
        for window, label in LABELS.items():
            into = folder(dest, "rollups", window, grain)
            found = db.execute(f"""
                SELECT strftime(timestamp, '{label}') AS label, min(timestamp)::DATE::VARCHAR,
                       max(timestamp)::DATE::VARCHAR
                FROM daily GROUP BY label""").fetchall()
            for name, first, last in found:
                yield (
                    f"""SELECT * REPLACE (timestamp::TIMESTAMPTZ AS timestamp) FROM {table}
                        WHERE timestamp >= '{first}'
                          AND timestamp < TIMESTAMP '{last}' + INTERVAL 1 DAY""",
                    into / f"{name}.parquet",
                )
    into = folder(dest, "federation")
    for name in SERIES_TABLES:
        query = f"SELECT * REPLACE (timestamp::TIMESTAMPTZ AS timestamp) FROM {name}"
        yield query, into / f"{name.replace('_', '-')}.parquet"


def _write(cursor: duckdb.DuckDBPyConnection, wanted: Sequence[tuple[str, Path]]) -> None:
    for query, path in wanted:
        cursor.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def _values(rows: Iterable[tuple[str | date, ...]]) -> str:
    cells = ([f"'{cell}'" for cell in row] for row in rows)
    return ", ".join(f"({', '.join(row)})" for row in cells)


def _total(db: duckdb.DuckDBPyConnection, table: str) -> int:
    (total,) = db.execute(f"SELECT sum(n)::BIGINT FROM {table}").fetchone() or (0,)
    return int(total)


if __name__ == "__main__":
    parser = command_line()
    parser.add_argument("--rollups-only", action="store_true", help="no tables of repositories")
    print(json.dumps(main(**vars(parser.parse_args()))))
