"""What lies in a written table, and what the kernel reads in some bodies, as tuples."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from daskbinder.counting.kernel import COMPILED_FROM, load_compiled
from daskbinder.counting.scan import Body, scan
from daskbinder.model.dates import day_number
from support.oracle import Launch


def rows(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def read_by_the_kernel(bodies_of_days: list[bytes], day: date) -> list[tuple[Any, ...]]:
    """Return the launches of some bodies as the kernel reads them."""
    numbered = [Body(f"{i}", day_number(day), body) for i, body in enumerate(bodies_of_days)]
    plain, compiled = (_read(numbered, compiled) for compiled in (False, True))
    assert plain == compiled
    return compiled


def _read(numbered: list[Body], compiled: bool) -> list[tuple[Any, ...]]:
    assert not compiled or load_compiled(COMPILED_FROM, print)
    found = scan(numbered, compiled=compiled)
    launches = found.launches.select(Launch._fields[1:]).to_pylist()
    pairs = zip(found.times[found.time].tolist(), found.launch.tolist(), strict=True)
    return [(stamp, *launches[place].values()) for stamp, place in pairs]
