"""A made-up events archive with the shape of the real one, from a seed.

It copies what affects the speed and correctness of a run: the line formats of each version, a few
popular repositories and a long, changing tail, weekends, members that come and go, gaps, and an
index that lags behind. No launch in it ever happened. No more than one day is held at a time.
"""

import json
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from daskbinder.archive.population import Floats, Ints, Population
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import SCHEMA

__all__ = ["write_sample"]

_EVER = date.max
# host, member, first day, last day, relative share of the launches
_HOSTS = (
    ("gke.mybinder.org", "gke", date.min, date(2023, 4, 28), 75.0),
    ("ovh.mybinder.org", "ovh", date(2019, 6, 6), date(2023, 2, 8), 12.0),
    ("turing.mybinder.org", "turing", date(2020, 2, 6), date(2022, 11, 1), 6.0),
    ("notebooks.gesis.org", "gesis", date(2019, 9, 8), date(2019, 10, 31), 5.0),
    ("gesis.mybinder.org", "gesis", date(2019, 10, 31), date(2020, 2, 19), 7.0),
    ("gesis.mybinder.org", "gesis", date(2020, 3, 20), date(2022, 11, 4), 7.0),
    ("gesis.mybinder.org", "gesis", date(2023, 1, 17), date(2023, 4, 6), 7.0),
    ("ovh2.mybinder.org", "ovh2", date(2022, 11, 21), date(2025, 1, 13), 14.0),
    ("notebooks.gesis.org", "gesis", date(2023, 4, 25), date(2025, 4, 13), 15.0),
    ("binder.curvenote.dev", "curvenote", date(2023, 11, 23), date(2024, 12, 16), 12.0),
    ("2i2c.mybinder.org", "hetzner-2i2c", date(2025, 1, 21), _EVER, 30.0),
    ("gesis.mybinder.org", "hetzner-gesis", date(2025, 4, 14), _EVER, 20.0),
    ("bids.mybinder.org", "bids-ovh", date(2025, 12, 17), _EVER, 12.0),
    ("2i2c-bare.mybinder.org", "hetzner-2i2c-bare", date(2025, 1, 25), date(2025, 2, 25), 4.0),
    ("gke2.mybinder.org", "gke", date(2020, 9, 22), date(2020, 9, 28), 20.0),
    ("gke1.mybinder.org", "gke", date(2020, 9, 23), date(2020, 9, 28), 5.0),
    ("gke2.mybinder.org", "gke", date(2020, 9, 29), date(2023, 4, 28), 0.02),
    ("gke.mybinder.org:443", "gke", date(2019, 6, 12), date(2023, 4, 28), 0.02),
    ("binder.mybinder.ovh", "ovh", date(2019, 6, 6), date(2022, 6, 9), 0.05),
    ("binder.mybinder.turing.ac.uk", "turing", date(2020, 2, 6), date(2022, 11, 1), 0.05),
    ("ovh.mybinder.org", "ovh2", date(2023, 2, 21), date(2025, 1, 13), 0.2),
    ("binderhub.example.org", "", date(2019, 6, 12), _EVER, 0.02),
)
_GKE_OUTAGE = (date(2022, 10, 20), date(2022, 11, 23))
_ROUTED_BY_REPOSITORY = date(2019, 11, 10)
_AWAY_FROM_HOME = 0.02  # launches for which the repository's member had no room

_VERSIONS = (
    (2, datetime(2019, 4, 2, 9, 12)),
    (3, datetime(2019, 6, 12, 14, 3)),
    (4, datetime(2020, 6, 18, 12, 41)),
    (5, datetime(2021, 7, 2, 8, 27)),
    (6, datetime(2026, 3, 2, 10, 55)),
)
_SINCE = {"origin": 3, "ref": 4, "build_token": 5, "request_origin": 6}
_UPGRADE_LAG_HOURS = {"ovh": 5, "ovh2": 5, "turing": 22, "gesis": 31, "hetzner-gesis": 7}

# date, launches a day in units of the average one; linear between
_TREND = (
    (date(2018, 11, 1), 0.72),
    (date(2020, 1, 15), 0.97),
    (date(2020, 4, 15), 1.06),
    (date(2021, 3, 8), 1.16),
    (date(2021, 9, 1), 1.10),
    (date(2023, 4, 28), 1.12),
    (date(2023, 6, 1), 0.60),
    (date(2026, 1, 1), 0.75),
)
_WEEKDAYS = (1.13, 1.17, 1.17, 1.14, 1.06, 0.63, 0.67)
_SEASONS = (((7, 10), (8, 31), 0.9), ((12, 20), (12, 31), 0.65), ((1, 1), (1, 4), 0.65))
_HOURS = (
    *(23, 21, 20, 19, 20, 23, 31, 43, 53, 58, 59, 57),
    *(58, 63, 68, 70, 67, 62, 56, 51, 46, 39, 32, 27),
)

_FLAWED_EVERY = 7


def write_sample(
    out: str | Path,
    *,
    days: int = 30,
    start: date = date(2021, 2, 22),
    events_per_day: int = 20_000,
    repositories: int = 40_000,
    seed: int = 0,
    flaws: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a made-up archive into a local folder.

    Parameters
    ----------
    out : str or Path
        Folder to fill; created if it does not exist, refused if it holds day files.
    days : int
        Number of days. Archives of eight days and more lack a few of them.
    start : datetime.date
        The first day.
    events_per_day : int
        Launches on an average day of 2019 to 2022; days and years differ.
    repositories : int
        How many are alive at one time. The fewer there are, the more launches are alike.
    seed : int
        The same seed gives the same bytes; a longer archive begins with the files of a shorter.
    flaws : bool
        Put some broken lines into one day in seven.
    progress : callable, optional
        Called with the days done and the launches written so far.

    Returns
    -------
    int
        Launches written, broken lines not counted.

    Examples
    --------
    >>> import daskbinder as db
    >>> db.write_sample("small", days=2, events_per_day=10, seed=1) > 0
    True
    """
    if min(days, events_per_day, repositories) < 1:
        raise ValueError("A sample needs at least one day, one event a day and one repository.")
    if days > (date.max - start).days:
        raise ValueError(f"{days} days from {start} on do not fit the calendar.")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a new or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if any(MYBINDER.date_of(path.name) for path in folder.iterdir()):
        raise ValueError(f"{folder} already holds day files; name a new or an empty folder.")

    population = Population.from_seed(seed, repositories)
    launches = 0
    index: list[str] = []
    for offset in range(days):
        day = start + timedelta(days=offset)
        if days < 8 or not _is_missing(offset):
            lines = _day_lines(population, day, events_per_day)
            launches += len(lines)
            if flaws and lines and offset % _FLAWED_EVERY == 0:
                lines = _with_flaws(lines, day, np.random.default_rng([seed, day.toordinal(), 1]))
            _write_whole(folder / f"events-{day}.jsonl", b"".join(lines))
            index.append(_index_line(day, len(lines)))
        if progress is not None:
            progress(offset + 1, launches)
    # the real index is written before the last rewrite of the day files, so it trails by a day
    _write_whole(folder / "index.jsonl", "".join(index[: max(1, len(index) - 1)]).encode())
    return launches


def _day_lines(population: Population, day: date, events_per_day: int) -> list[bytes]:
    """Lines of one day file, sorted by minute."""
    rng = np.random.default_rng([population.seed, day.toordinal()])
    hosts = [(host, member, share) for host, member, a, b, share in _HOSTS if a <= day <= b]
    total = rng.poisson(events_per_day * _volume(day) * rng.lognormal(0, 0.05))
    per_slot = rng.multinomial(total, population.shares(day, rng))
    slots = np.flatnonzero(per_slot)

    route = _routes(slots, np.array([share for *_, share in hosts]), day)
    failing, token = population.failing[slots], population.with_token[slots]
    status_p = np.stack([1 - failing, failing], axis=1)
    token_p = np.stack([1 - token, token], axis=1)
    cells_p = np.einsum("rs,rt,rh->rsth", status_p, token_p, route)
    flat_p = cells_p.reshape(len(slots), 4 * len(hosts))
    cells = rng.multinomial(per_slot[slots], flat_p).reshape(cells_p.shape)
    if _GKE_OUTAGE[0] <= day <= _GKE_OUTAGE[1]:
        cells[..., [member == "gke" for _, member, _ in hosts]] = 0

    versions = [_versions(member, day) for _, member, _ in hosts]
    before: list[bytes] = []
    after: list[bytes] = []
    occupied = np.nonzero(cells)
    for row, failed, has_token, host in zip(*(axis.tolist() for axis in occupied), strict=True):
        provider, spec, commit, site = population.fields(int(slots[row]), day)
        fields = {
            "provider": provider,
            "spec": spec,
            "status": "failure" if failed else "success",
            "origin": hosts[host][0],
            "ref": commit,
            "build_token": bool(has_token),
            "request_origin": site,
        }
        before.append(_tail(fields, versions[host][0]))
        after.append(_tail(fields, versions[host][1]))

    kinds = rng.permutation(np.repeat(np.arange(len(before)), cells[occupied]))
    minutes = _minutes(rng, len(kinds))
    switched = minutes >= np.array([switch for *_, switch in versions])[occupied[3]][kinds]
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)]
    heads = np.array([f'{{"timestamp": "{day}T{hm}:00+00:00"'.encode() for hm in clock], object)
    ends = np.array(before + after, object)
    return list(heads[minutes] + ends[kinds + len(before) * switched])


def _tail(fields: dict[str, Any], version: int) -> bytes:
    """Everything after the timestamp of a line, with the fields of a schema version."""
    event = {"schema": SCHEMA, "version": version}
    event |= {key: value for key, value in fields.items() if version >= _SINCE.get(key, 1)}
    return f", {json.dumps(event)[1:]}\n".encode()


def _routes(slots: Ints, share: Floats, day: date) -> Floats:
    """Probability of each host for each slot: mostly that of the member it is routed to."""
    share = share / share.sum()
    if day < _ROUTED_BY_REPOSITORY:
        return np.broadcast_to(share, (len(slots), len(share)))
    # multiples of the golden ratio spread evenly, so the loud repositories split by share too
    home = np.searchsorted(np.cumsum(share)[:-1], slots * 0.6180339887498949 % 1, side="right")
    route = np.tile(share * _AWAY_FROM_HOME, (len(slots), 1))
    route[np.arange(len(slots)), home] += 1 - _AWAY_FROM_HOME
    return route


def _versions(member: str, day: date) -> tuple[int, int, int]:
    """Versions that a member publishes at the start and the end of a day, and when it switches.

    The minute of the day is past its end where they are the same.
    """
    midnight = datetime.combine(day, time())
    first, last, switch = 1, 1, 1440
    for version, deployed in _VERSIONS:
        at = deployed + timedelta(hours=_UPGRADE_LAG_HOURS.get(member, 0))
        if at <= midnight:
            first = last = version
        elif at.date() == day:
            last, switch = version, (at - midnight).seconds // 60
    return first, last, switch


def _volume(day: date) -> float:
    """Launches expected on a day in units of the average one."""
    days = [since.toordinal() for since, _ in _TREND]
    season = [f for a, b, f in _SEASONS if a <= (day.month, day.day) <= b]
    trend = float(np.interp(day.toordinal(), days, [factor for _, factor in _TREND]))
    return trend * _WEEKDAYS[day.weekday()] * (season[0] if season else 1.0)


def _minutes(rng: np.random.Generator, launches: int) -> Ints:
    """Sorted minutes of a day's launches, along the hourly curve."""
    curve = np.interp(np.arange(1440) / 60 - 0.5, np.arange(24), _HOURS, period=24)
    curve *= np.repeat(rng.lognormal(0, 0.1, 24), 60)
    return np.repeat(np.arange(1440), rng.multinomial(launches, curve / curve.sum()))


def _is_missing(offset: int) -> bool:
    """Whether the archive lacks this day: one day in the first year, two in the next."""
    year, day = divmod(offset, 365)
    return day == 5 or (day == 6 and year % 2 == 1)


def _with_flaws(lines: list[bytes], day: date, rng: np.random.Generator) -> list[bytes]:
    """Put broken copies of a few lines in between."""
    breaks: tuple[Callable[[bytes], bytes], ...] = (
        lambda line: line[: len(line) // 2] + b"\n",
        lambda line: line.replace(b"org/launch", b"org/build"),
        lambda line: line.replace(b":00+00:00", b":61+00:00"),
        lambda line: re.sub(rb'"version": \d+', b'"version": 99', line),
        lambda line: line.replace(b'"spec": "', b'"spec": "\xff\xfe'),
        lambda line: line.replace(str(day).encode(), str(day - timedelta(days=3)).encode()),
    )
    flawed = lines.copy()
    for broken in breaks:
        for index in rng.integers(0, len(lines), rng.integers(1, 4)):
            flawed.insert(int(index), broken(lines[index]))
    return flawed


def _index_line(day: date, lines: int) -> str:
    count = lines if day.toordinal() % 3 == 0 else str(lines)
    entry = {"name": f"events-{day}.jsonl", "date": str(day), "count": count}
    return json.dumps(entry) + "\n"


def _write_whole(path: Path, body: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(body)
    part.replace(path)
