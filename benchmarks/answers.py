"""Whether two result folders hold the same rows; outside every clock, and never with our code.

DuckDB reads the files. A rollup is compared window by window as a multiset of rows (how many, the
launches, the sum of their hashes), and so are the tables of repositories; a federation series row
by row, its mean to twelve digits.
"""

from pathlib import Path

import duckdb
import pyarrow.feather
import pyarrow.parquet as pq

WINDOWS = ("daily", "weekly", "monthly")
GRAINS = ("by-hour", "by-day")
_ROLLUP = """epoch_us(timestamp), "schema"::VARCHAR, version::BIGINT, provider::VARCHAR,
    spec::VARCHAR, status::VARCHAR, origin::VARCHAR, build_token::BOOLEAN,
    request_origin::VARCHAR, n::BIGINT"""
_REPOSITORIES = {
    "by-day/*": """date, federation::VARCHAR, provider::VARCHAR, repository::VARCHAR, org::VARCHAR,
        ref::VARCHAR, n::BIGINT""",
    "all": """provider::VARCHAR, repository::VARCHAR, org::VARCHAR, n::BIGINT, days::BIGINT,
        first_seen, last_seen""",
    "active": """"window"::VARCHAR, first, last, repositories::BIGINT, days::BIGINT""",
}
_TOTAL = "sum(COLUMNS('^(n|repositories)$'))"

Digest = dict[str, tuple[int, int, int]]


def differences(ours: Path, theirs: Path) -> list[str]:
    """Say where two result folders disagree.

    Parameters
    ----------
    ours, theirs : Path
        Folders with ``rollups/{window}/{grain}`` and ``federation``, Parquet or Feather; and with
        ``repositories``, which may be missing in `theirs`.

    Returns
    -------
    list of str
        A sentence for each disagreement; empty when all answers agree.
    """
    found = []
    tables = {f"rollups/{window}/{grain}/*": _ROLLUP for window in WINDOWS for grain in GRAINS}
    if (theirs / "repositories").exists():
        tables |= {f"repositories/{name}": row for name, row in _REPOSITORIES.items()}
    with duckdb.connect() as db:
        for name, row in tables.items():
            left, right = (_digest(db, folder / name, row) for folder in (ours, theirs))
            if not left:
                found.append(f"{name}: no rows at all in {ours}")
            found += [
                f"{Path(name).parent}/{label}: (rows, sum, hash) are {left.get(label)} "
                f"and {right.get(label)}"
                for label in sorted(left.keys() | right.keys())
                if left.get(label) != right.get(label)
            ]
        for grain in GRAINS:
            wrong = _series_differences(db, ours, theirs, grain)
            found += [f"federation/{grain}: {row}" for row in wrong]
    return found


def _digest(db: duckdb.DuckDBPyConnection, files: Path, row: str) -> Digest:
    """File to its number of rows, their total and sum of hashes; empty files left out."""
    digest: Digest = {}
    if any(files.parent.glob(f"{files.name}.parquet")):
        rows = db.execute(f"""
            SELECT parse_filename(filename, true), count(*), {_TOTAL}, sum(hash({row}))
            FROM read_parquet('{files}.parquet', filename = true, union_by_name = true)
            GROUP BY 1""").fetchall()
        digest = {label: (int(count), int(n), int(hashes)) for label, count, n, hashes in rows}
    for path in files.parent.glob(f"{files.name}.feather"):
        table = pyarrow.feather.read_table(path)
        db.register("feather", table)
        query = f"SELECT count(*), {_TOTAL}, sum(hash({row})) FROM feather HAVING count(*) > 0"
        for count, n, hashes in db.execute(query).fetchall():
            digest[path.stem] = (int(count), int(n), int(hashes))
        db.unregister("feather")
    return digest


def _series_differences(
    db: duckdb.DuckDBPyConnection, ours: Path, theirs: Path, grain: str
) -> list[str]:
    mean = "mean_7d" if grain == "by-day" else "NULL::DOUBLE AS mean_7d"
    for side, folder in (("ours", ours), ("theirs", theirs)):
        path = folder / "federation" / grain
        parquet, feather = path.with_suffix(".parquet"), path.with_suffix(".feather")
        table = (
            pq.ParquetFile(parquet).read()
            if parquet.exists()
            else pyarrow.feather.read_table(feather)
        )
        db.register("series", table)
        db.execute(f"""
            CREATE OR REPLACE TEMP TABLE {side} AS
                SELECT epoch_us(timestamp) AS t, federation::VARCHAR AS federation, n, {mean}
                FROM series""")
        db.unregister("series")
    rows = db.execute("""
        SELECT make_timestamp(t)::VARCHAR, federation, ours.n, theirs.n, ours.mean_7d,
               theirs.mean_7d
        FROM ours FULL JOIN theirs USING (t, federation)
        WHERE ours.n IS DISTINCT FROM theirs.n
           OR (ours.mean_7d IS NULL) <> (theirs.mean_7d IS NULL)
           OR abs(ours.mean_7d - theirs.mean_7d) > 1e-12 * greatest(1, abs(ours.mean_7d))
        ORDER BY ALL LIMIT 10""").fetchall()
    return [
        f"{when} {member}: n {n} and {m}, mean {mean} and {other}"
        for when, member, n, m, mean, other in rows
    ]
