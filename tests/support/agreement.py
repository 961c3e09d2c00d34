"""Whether the counts of some day files agree with the oracle, launch by launch."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from daskbinder.archive.dataframe import read_day
from daskbinder.archive.dayfiles import list_day_files
from daskbinder.archive.reading import Part
from daskbinder.counting.kernel import COMPILED_FROM
from daskbinder.counting.rollup_tables import to_table
from daskbinder.pipeline.counting_tasks import count_block
from daskbinder.pipeline.request import CountRules, RunPolicy
from daskbinder.storage.location import Location
from support.oracle import HOUR_MICROS, Launch, bounded, read_body

KEY = ("schema", "version", "provider", "spec", "status", "origin", "build_token", "request_origin")


def agree(folder: Path, bodies: dict[date, bytes], size: int, seen: Counter[str]) -> None:
    """Compare the counts, the tallies and the launches one by one; parts have `size` bytes."""
    place = Location.at(folder)
    files = list_day_files(place)
    parts = [
        Part(file, at, min(at + size, file.size))
        for file in files
        for at in range(0, max(file.size, 1), size)
    ]
    plain, counted = (
        count_block(place, parts, CountRules(), RunPolicy(blocksize=size), run_bytes=run_bytes)
        for run_bytes in (0, COMPILED_FROM)
    )
    assert plain.tallies == counted.tallies
    assert to_table(plain.counts["hour"]).equals(to_table(counted.counts["hour"]))
    wanted = {day: read_body(body, day) for day, body in bodies.items()}

    rows = zip(*(column.to_pylist() for column in to_table(counted.counts["hour"])), strict=True)
    found = Counter({(int(when.timestamp()) * 10**6, *key): n for when, *key, n in rows})
    assert found == Counter(key_of(one) for launches, _ in wanted.values() for one in launches)
    for file in files:
        launches, rejected = wanted[file.date]
        tallies = [tally for part, tally in counted.tallies if part.file == file]
        assert sum(tally.accepted for tally in tallies) == len(launches)
        assert sum((tally.rejected for tally in tallies), Counter()) == Counter(
            reason for _, reason, _ in rejected
        )
        assert hours(tallies) == {
            one.micros // HOUR_MICROS for one in launches if one.date == file.date
        }
        assert any(tally.strays for tally in tallies) == any(
            one.date != file.date for one in launches
        )
        if len(tallies) == 1:
            recorded = [(at + 1, str(why), text) for at, why, text in sorted(tallies[0].records)]
            assert recorded == [
                (row.line, row.reason, row.text) for row in bounded(file.name, rejected)
            ]
        seen["lines"] += bodies[file.date].count(b"\n") + 1
        seen["accepted"] += len(launches)
        seen.update(reason for _, reason, _ in rejected)
    one_by_one(place, files[-1], wanted[files[-1].date][0])


def key_of(launch: Launch) -> tuple[Any, ...]:
    origin = "gke.mybinder.org" if launch.origin is None else launch.origin
    hour = launch.micros // HOUR_MICROS * HOUR_MICROS
    return (hour, *launch._replace(origin=origin)[1:])


def hours(tallies: list[Any]) -> set[int]:
    """Hours since 1970 in which a file has launches of its own date."""
    return {
        tally.day * 24 + hour for tally in tallies for hour in range(24) if tally.hours >> hour & 1
    }


def one_by_one(place: Location, file: Any, wanted: list[Launch]) -> None:
    """Compare the launches of a file to the microsecond."""
    frame = read_day(place, file)
    columns = [frame[name].astype(object).where(frame[name].notna(), None) for name in KEY]
    found = zip(frame.index.as_unit("us").asi8.tolist(), *columns, strict=True)
    assert Counter(found) == Counter(tuple(launch) for launch in wanted)
