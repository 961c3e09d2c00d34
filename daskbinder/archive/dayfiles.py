"""The day files of an archive: listed by date, not read; and the archive's own index.

Knows names, dates and sizes, never what a line says.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import orjson

from daskbinder.errors import InputError
from daskbinder.model.hub import MYBINDER, Instance
from daskbinder.storage.backend import REFUSED, Entry
from daskbinder.storage.location import Location

INDEX = "index.jsonl"

_TICK = 0.02
"""Seconds within which two changes of a file may get the same time: kernel clocks tick at up to
10 ms."""

_LOOKS = 10
"""How often to look at a file that keeps changing."""

_MOST_LAUNCHES = 1 << 63
"""More than any sane index has, and more than a table can hold."""


@dataclass(frozen=True, kw_only=True)
class DayFile(Entry):
    """The entry of a day file in a listing, and the UTC date in its name.

    `size` is not None: a day file of unknown size cannot be cut into parts.
    """

    size: int
    date: date

    def __post_init__(self) -> None:
        if self.date.isoformat() not in self.name:
            raise ValueError(f"{self.name!r} is not the name of the day file of {self.date}")
        if self.size < 0:
            raise ValueError(f"{self.name}: a file cannot have {self.size} bytes")

    def __lt__(self, other: "DayFile") -> bool:
        return self.date < other.date

    @property
    def compressed(self) -> bool:
        """Whether it is named like a gzip file; its first bytes have the last word."""
        return self.name.endswith(".gz")

    @property
    def refused(self) -> bool:
        """Whether it exists but may not be read."""
        return REFUSED in self.fingerprint


def list_day_files(
    location: Location, instance: Instance = MYBINDER, *, today: date | None = None
) -> tuple[DayFile, ...]:
    """List the day files of an instance by date, without reading them.

    A site has no listing: there each day up to `today`, the UTC date by default, is requested by
    name.

    Raises
    ------
    InputError
        When there is nothing at all, or one date has two files.
    """
    try:
        if location.lists:
            entries = location.listing()
        else:
            last = today or datetime.now(UTC).date()
            entries = location.entries_named(_possible_names(location, instance, last))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"there is no archive at {location}; give its folder or URL") from error
    if not (entries or location.lists):
        raise InputError(
            f"{location} has no day since {instance.first}; give the address of an archive"
        )
    files: dict[date, DayFile] = {}
    for entry in entries:
        day = instance.date_of(entry.name)
        if day is None:
            continue
        if entry.kind != "file":
            raise InputError(
                f"{location}/{entry.name} is a {entry.kind}, not a day file; remove it"
            )
        if day in files:
            raise InputError(
                f"{location} has two files for {day}, {files[day].name} and {entry.name}; "
                "remove one"
            )
        entry = _settle(location, entry)
        if entry.size is None:
            raise InputError(
                f"{location} does not say how many bytes {entry.name} has; "
                "fetch the archive into a folder first"
            )
        files[day] = DayFile(**vars(entry), date=day)
    return tuple(sorted(files.values()))


def _settle(location: Location, entry: Entry) -> Entry:
    """Describe a file again until any later change would show in its times."""
    for _ in range(_LOOKS):
        if entry.ctime_ns is None or abs(time.time() - entry.ctime_ns / 1e9) > _TICK:
            break
        time.sleep(_TICK)
        before, entry = entry, location.entry(entry.name)
        if entry.ctime_ns == before.ctime_ns:
            break
    return entry


def _possible_names(location: Location, instance: Instance, last: date) -> list[str]:
    """Names of all possible day files; only the index can say which are compressed."""
    first = instance.first
    days = (first + timedelta(days=i) for i in range((last - first).days + 1))
    indexed = {name for day, name, _ in _index(location, instance) if first <= day <= last}
    return sorted({*map(instance.name_of, days)} | indexed)


def read_index(location: Location, instance: Instance = MYBINDER) -> dict[date, int]:
    """Launches of each date as ``index.jsonl`` gives them; empty where there is no index.

    The listing is authoritative and the index a cross-check, so invalid index entries are
    skipped.
    """
    return {day: count for day, _, count in _index(location, instance)}


def _index(location: Location, instance: Instance) -> Iterator[tuple[date, str, int]]:
    try:
        data = location.read(INDEX)
    except FileNotFoundError:
        return
    yield from entries_of_index(data, instance)


def entries_of_index(data: bytes, instance: Instance) -> Iterator[tuple[date, str, int]]:
    """Date, name and launches of each day file that an index names."""
    for line in data.splitlines():
        try:
            entry = orjson.loads(line)
            name, count = entry["name"], int(entry["count"])
            day = instance.date_of(name)
        except (ValueError, KeyError, TypeError):
            continue
        if day is not None and 0 <= count < _MOST_LAUNCHES:
            yield day, name, count
