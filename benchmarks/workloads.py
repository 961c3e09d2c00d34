"""Who does the whole job, and how each is called; knows no clock."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

PYTHON = sys.executable
OURS = "daskbinder"


@dataclass(frozen=True)
class Contender:
    """A program that turns an archive into rollups, federation series and more.

    Attributes
    ----------
    name : str
        Its name in tables and results.
    program : tuple of str
        The command, to which archive and destination are added.
    options : tuple of str
        What follows them.
    most_days : int
        The longest archive it is run on unless it is asked for by name.
    """

    name: str
    program: tuple[str, ...]
    options: tuple[str, ...] = ()
    most_days: int = 100_000

    def command(self, archive: Path, dest: Path) -> tuple[str, ...]:
        """Give the whole command."""
        return (*self.program, str(archive), str(dest), *self.options)


def ours(*options: str, name: str = OURS) -> Contender:
    """Our own command line, as a user would call it."""
    return Contender(name, (PYTHON, "-m", "daskbinder", "run"), options)


def on_one_core(contender: Contender) -> Contender:
    """Bind a contender, and every process it starts, to one core."""
    core = min(os.sched_getaffinity(0))
    program = ("taskset", "--cpu-list", str(core), *contender.program)
    return replace(contender, name=f"{contender.name}, one core", program=program)


def _peer(name: str, module: str, *options: str, most_days: int = 100_000) -> Contender:
    return Contender(name, (PYTHON, "-m", f"benchmarks.peers.{module}"), options, most_days)


PEERS = {
    peer.name: peer
    for peer in (
        _peer("duckdb", "duckdb_sql"),
        _peer("polars", "polars_lazy"),
        _peer("duckdb-rollups", "duckdb_sql", "--rollups-only", most_days=0),
        _peer("polars-rollups", "polars_lazy", "--rollups-only", most_days=0),
        _peer("pandas", "pandas_notebook"),
        _peer("pandas-pyarrow", "pandas_notebook", "--engine", "pyarrow"),
        _peer("dask-read-json", "dask_read_json", most_days=100),
        _peer("dask-bag", "dask_bag", most_days=100),
    )
}


def contenders(days: int, names: Iterable[str] = ()) -> list[Contender]:
    """Choose who runs: ourselves first, then the peers named or all that manage so many days."""
    chosen = [PEERS[name] for name in names]
    return [ours(), *(chosen or [peer for peer in PEERS.values() if days <= peer.most_days])]
