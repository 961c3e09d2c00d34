"""The answer by other means: a slow, plain-Python count of an archive folder.

It follows the written rules line by line, keeps every launch in memory, uses the standard library
only, and shares no code with the package; the table of the federation is read as data.
"""

import gzip
import json
import math
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = "binderhub.jupyter.org/launch"
VERSIONS = (1, 2, 3, 4, 5, 6)
WINDOWS = ("daily", "weekly", "monthly")
GRAINS = ("hour", "day")
REASONS = (
    "not-utf8",
    "not-json",
    "not-an-object",
    "other-schema",
    "unknown-version",
    "bad-field",
    "bad-timestamp",
    "outside-day",
)
MAX_DEPTH = 2000  # that lines are drawn with
MAX_REJECTS = 100
TEXT_BYTES = 200
BOM = b"\xef\xbb\xbf"
FEDERATION = Path(__file__).parents[2] / "daskbinder" / "model" / "federation.toml"

EPOCH = date(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
HOUR_MICROS = 3_600_000_000
DAY_MICROS = 24 * HOUR_MICROS

STAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
)
FILE = re.compile(r"events-([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl(?:\.gz)?")

Key = tuple[str, int, str, str, str, str | None, bool | None, str | None]
Row = tuple[Any, ...]


class Launch(NamedTuple):
    """An accepted line: its time in microseconds since 1970 (UTC), and its key columns."""

    micros: int
    schema: str
    version: int
    provider: str
    spec: str
    status: str
    origin: str | None
    build_token: bool | None
    request_origin: str | None

    @property
    def date(self) -> date:
        return EPOCH + DAY * (self.micros // DAY_MICROS)


# One line ---------------------------------------------------------------------------------------


def judge(line: bytes, day: date, versions: Sequence[int] = VERSIONS) -> Launch | str | None:
    """Return the launch of a line of the day's file, or why it is none, or None if it is blank."""
    body = line.removeprefix(BOM)
    if not body.strip(b" \t\r"):
        return None
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        return "not-utf8"
    try:
        value = parse(text)
    except ValueError:
        return "not-json"
    if not isinstance(value, dict):
        return "not-an-object"
    if value.get("schema") != SCHEMA:
        return "other-schema"
    version = value.get("version")
    if type(version) is not int or version not in versions:
        return "unknown-version"
    if not all(is_text(value.get(name)) for name in ("provider", "spec", "status")):
        return "bad-field"
    hosts = (value.get(name) for name in ("origin", "request_origin"))
    if not all(host is None or is_text(host) for host in hosts):
        return "bad-field"
    if type(value.get("build_token")) not in (bool, type(None)):
        return "bad-field"
    micros = microseconds(value.get("timestamp"))
    if micros is None:
        return "bad-timestamp"
    if abs(micros // DAY_MICROS - (day - EPOCH).days) > 1:
        return "outside-day"
    return Launch(
        micros,
        SCHEMA,
        version,
        value["provider"],
        value["spec"],
        value["status"],
        value.get("origin"),
        value.get("build_token"),
        value.get("request_origin"),
    )


def parse(text: str) -> Any:
    """Read JSON as Python does, but for NaN and Infinity, and however deep and long."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 8 * MAX_DEPTH)
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_integer)
    finally:
        sys.setrecursionlimit(limit)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else math.inf


def is_text(value: object) -> bool:
    """Say whether a value is a string of characters; half a surrogate pair is none."""
    try:
        return isinstance(value, str) and bool(value.encode("utf-8") or True)
    except UnicodeEncodeError:
        return False


def microseconds(stamp: object) -> int | None:
    """Return the microseconds since 1970 in UTC of an ISO 8601 date-time, or None."""
    if not isinstance(stamp, str):
        return None
    found = STAMP.fullmatch(stamp)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction, sign, off_hours, off_minutes = found.groups()[6:]
    try:
        days = (date(year, month, day) - EPOCH).days
    except ValueError:
        return None
    offset = int(off_hours or 0) * 60 + int(off_minutes or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    if int(off_hours or 0) > 23 or int(off_minutes or 0) > 59:
        return None
    if sign == "-":
        offset = -offset
    seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second
    return seconds * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])


# The federation -------------------------------------------------------------------------------


class Interval(NamedTuple):
    """When a host name belonged to a member; an open end is None."""

    member: str
    start: date | None
    end: date | None

    def distance(self, day: date) -> int:
        """Return the days between the interval and a day: 0 within it."""
        if self.start is not None and day < self.start:
            return (self.start - day).days
        if self.end is not None and day > self.end:
            return (day - self.end).days
        return 0


def read_federation(path: Path = FEDERATION) -> dict[str, list[Interval]]:
    """Read who had which host name when."""
    hosts: dict[str, list[Interval]] = {}
    for row in tomllib.loads(path.read_text("utf-8"))["host"]:
        interval = Interval(row["member"], _date(row.get("from")), _date(row.get("to")))
        hosts.setdefault(row["host"], []).append(interval)
    return hosts


def _date(value: date | str | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def host_of(origin: str) -> str:
    """Return the host of an origin without port, case and a last dot."""
    return re.sub(r":[0-9]*$", "", origin).casefold().removesuffix(".")


def member_of(origin: str, day: date, hosts: dict[str, list[Interval]]) -> str:
    """Return the member an origin stood for on a day; a stranger's is its first DNS label."""
    host = host_of(origin)
    if host in hosts:
        return min(hosts[host], key=lambda interval: interval.distance(day)).member
    return host.split(".")[0] or "unknown"


# The archive ----------------------------------------------------------------------------------


class Day(NamedTuple):
    """A row of the table of days."""

    date: date
    name: str
    bytes: int
    lines: int
    accepted: int
    rejected: int
    indexed: int | None
    hours_present: int


class Reject(NamedTuple):
    """A row of the table of rejected lines, for n of them."""

    name: str
    line: int
    reason: str
    text: str
    n: int


@dataclass(frozen=True)
class Oracle:
    """Every launch of an archive, and the questions the outputs answer."""

    days: list[Day]
    rejects: list[Reject]
    reasons: Counter[str]
    by_file: dict[date, list[Launch]]
    hosts: dict[str, list[Interval]]

    @property
    def present(self) -> list[date]:
        return [day.date for day in self.days]

    @property
    def missing(self) -> list[date]:
        """The days without a file between the first and the last file."""
        if not self.days:
            return []
        present = set(self.present)
        return [d for d in dates(self.present[0], self.present[-1]) if d not in present]

    @property
    def accepted(self) -> int:
        return sum(day.accepted for day in self.days)

    @property
    def lost(self) -> list[str]:
        """Names of files that have lines, of which none is a launch."""
        return [day.name for day in self.days if day.rejected and not day.accepted]

    @property
    def rejected(self) -> int:
        return sum(day.rejected for day in self.days)

    @property
    def lines(self) -> int:
        return sum(day.lines for day in self.days)

    def launches(self) -> Iterator[Launch]:
        for launches in self.by_file.values():
            yield from launches

    def labels(self, window: str) -> list[str]:
        """Return the labels of the windows that hold a day file or a launch."""
        days = {*self.present, *(launch.date for launch in self.launches())}
        return sorted({label(window, day) for day in days})

    def rollup(self, window: str, grain: str, name: str) -> list[Row]:
        """Return the rows of one rollup: timestamp, key columns, n."""
        return self.all_windows().get((window, grain, name), [])

    def all_windows(self) -> dict[tuple[str, str, str], list[Row]]:
        """Return the rows of every rollup by (window, grain, label)."""
        counts: dict[tuple[str, str, str], Counter[Row]] = {
            (window, grain, name): Counter()
            for window in WINDOWS
            for grain in GRAINS
            for name in self.labels(window)
        }
        for launch in self.launches():
            _, *key = launch
            key[5] = "gke.mybinder.org" if launch.origin is None else launch.origin
            for window in WINDOWS:
                for grain in GRAINS:
                    row = (floor(launch.micros, grain), *key)
                    counts[window, grain, label(window, launch.date)][row] += 1
        return {name: sort_rows(counted) for name, counted in counts.items()}

    def incomplete(self) -> dict[tuple[str, str], list[date]]:
        """Return the days without a file of every window, by (window, label), that has such."""
        present = set(self.present)
        found = {}
        for window in WINDOWS:
            for name in self.labels(window):
                lacks = [day for day in days_of(window, name) if day not in present]
                if lacks:
                    found[window, name] = lacks
        return found

    def _members(self) -> Counter[tuple[str, int]]:
        """Return the launches by member and hour, the hour in microseconds."""
        found: Counter[tuple[str, int]] = Counter()
        for launch in self.launches():
            origin = "gke.mybinder.org" if launch.origin is None else launch.origin
            member = member_of(origin, launch.date, self.hosts)
            found[member, launch.micros // HOUR_MICROS * HOUR_MICROS] += 1
        return found

    def _active(self) -> dict[str, tuple[date, date]]:
        """Return the first and the last day of every member that has begun."""
        begins: dict[str, list[date]] = {}
        ends: dict[str, list[date]] = {}
        for member, start, end in (interval for of in self.hosts.values() for interval in of):
            if start is not None:
                begins.setdefault(member, []).append(start)
            if start is not None or end is not None:
                ends.setdefault(member, []).append(end or date.max)
        for member, hour in self._members():
            day = EPOCH + DAY * (hour // DAY_MICROS)
            begins.setdefault(member, []).append(day)
            ends.setdefault(member, []).append(day)
        return {member: (min(days), max(ends[member])) for member, days in begins.items()}

    def federation_by_hour(self) -> list[tuple[datetime, str, int]]:
        """Return the rows (timestamp, member, n) of the hourly series."""
        counts = self._members()
        rows = {(moment(hour), member): n for (member, hour), n in counts.items()}
        spans = self._active()
        for day in self.present:
            midnight = (day - EPOCH).days * DAY_MICROS
            for member, (first, last) in spans.items():
                if first <= day <= last:
                    for hour in range(24):
                        rows.setdefault((moment(midnight + hour * HOUR_MICROS), member), 0)
        return [(when, member, n) for (when, member), n in sorted(rows.items())]

    def federation_by_day(self) -> list[tuple[datetime, str, int, float | None]]:
        """Return the rows (timestamp, member, n, mean_7d) of the daily series."""
        counts: Counter[tuple[datetime, str]] = Counter()
        for when, member, n in self.federation_by_hour():
            counts[when.replace(hour=0), member] += n
        present = set(self.present)
        rows = []
        for (when, member), n in sorted(counts.items()):
            last = [when - DAY * back for back in range(7)]
            there = [day for day in last if day.date() in present]
            total = sum(counts[day, member] for day in there)
            rows.append((when, member, n, total / len(there) if there else None))
        return rows


def read_archive(
    folder: Path,
    *,
    start: date = date.min,
    end: date = date.max,
    versions: Sequence[int] = VERSIONS,
    federation: Path = FEDERATION,
) -> Oracle:
    """Read every day file of a folder from start to end."""
    index = read_index(folder)
    days, rejects, reasons = [], [], Counter[str]()
    by_file: dict[date, list[Launch]] = {}
    for path in sorted(folder.iterdir()):
        day = date_of(path.name)
        if day is None or not start <= day <= end:
            continue
        content = path.read_bytes()
        body = gzip.decompress(content) if path.name.endswith(".gz") and content else content
        launches, rejected = read_body(body, day, versions)
        by_file[day] = launches
        reasons.update(reason for _, reason, _ in rejected)
        rejects += bounded(path.name, rejected)
        days.append(
            Day(
                day,
                path.name,
                len(content),
                len(launches) + len(rejected),
                len(launches),
                len(rejected),
                index.get(day),
                len({x.micros // HOUR_MICROS for x in launches if x.date == day}),
            )
        )
    return Oracle(days, rejects, reasons, by_file, read_federation(federation))


def date_of(name: str) -> date | None:
    """Return the date of a day file, or None if the name is not that of one."""
    found = FILE.fullmatch(name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def read_body(
    body: bytes, day: date, versions: Sequence[int] = VERSIONS
) -> tuple[list[Launch], list[tuple[int, str, bytes]]]:
    """Return the launches of a day file, and its rejected lines as (line, reason, text)."""
    launches: list[Launch] = []
    rejected: list[tuple[int, str, bytes]] = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        verdict = judge(line, day, versions)
        if isinstance(verdict, str):
            rejected.append((number, verdict, line))
        elif verdict is not None:
            launches.append(verdict)
    return launches, rejected


def bounded(name: str, rejected: list[tuple[int, str, bytes]]) -> list[Reject]:
    """Keep a hundred lines a reason; the next one stands for all the others."""
    totals = Counter(reason for _, reason, _ in rejected)
    seen: Counter[str] = Counter()
    rows = []
    for number, reason, line in rejected:
        seen[reason] += 1
        text = line[:TEXT_BYTES].decode("utf-8", errors="backslashreplace")
        if seen[reason] <= MAX_REJECTS:
            rows.append(Reject(name, number, reason, text, 1))
        elif seen[reason] == MAX_REJECTS + 1:
            rows.append(Reject(name, number, reason, text, totals[reason] - MAX_REJECTS))
    return rows


def read_index(folder: Path) -> dict[date, int]:
    """Read the counts of the index, if the folder has one."""
    path = folder / "index.jsonl"
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return {date.fromisoformat(row["date"]): int(row["count"]) for row in rows}


# The calendar ---------------------------------------------------------------------------------


def label(window: str, day: date) -> str:
    """Return the label of the window that holds a day."""
    if window == "daily":
        return f"{day.year:04}-{day.month:02}-{day.day:02}"
    if window == "weekly":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return f"{day.year:04}-{day.month:02}"


def days_of(window: str, name: str) -> list[date]:
    """Return the days of a window."""
    if window == "daily":
        return [date.fromisoformat(name)]
    if window == "weekly":
        year, week = name.split("-W")
        return [date.fromisocalendar(int(year), int(week), weekday) for weekday in range(1, 8)]
    first = date.fromisoformat(f"{name}-01")
    return [day for day in dates(first, first + 30 * DAY) if day.month == first.month]


def dates(first: date, last: date) -> list[date]:
    """Return every day from the first to the last."""
    return [first + DAY * step for step in range((last - first).days + 1)]


def floor(micros: int, grain: str) -> datetime:
    """Return the hour or the day a moment lies in."""
    step = HOUR_MICROS if grain == "hour" else DAY_MICROS
    return moment(micros // step * step)


def moment(micros: int) -> datetime:
    """Return the time, in UTC, some microseconds after 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + micros * MICROSECOND


def sort_rows(counted: Counter[Row]) -> list[Row]:
    """Sort by all columns in their order, nulls last, and put the count behind."""

    def nulls_last(row: Row) -> list[tuple[bool, Any]]:
        return [(value is None, 0 if value is None else value) for value in row]

    return [(*row, counted[row]) for row in sorted(counted, key=nulls_last)]
