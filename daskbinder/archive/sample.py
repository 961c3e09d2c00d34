"""A made-up events archive with the shape of the real one, from a seed.

It copies what decides how fast and how right a run is: the line formats of each
version, a few loud repositories before a long and changing tail, weekends, members
that come and go, gaps, and an index that trails behind. Nothing in it is a record
of a launch that happened. It never reads an archive, never touches the network, and
never holds more than one day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["write_sample"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

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
_AWAY_FROM_HOME = 0.02  # launches that the member of their repository had no room for

_VERSIONS = (
    (2, datetime(2019, 4, 2, 9, 12)),
    (3, datetime(2019, 6, 12, 14, 3)),
    (4, datetime(2020, 6, 18, 12, 41)),
    (5, datetime(2021, 7, 2, 8, 27)),
    (6, datetime(2026, 3, 2, 10, 55)),
)
_UPGRADE_LAG_HOURS = {"ovh": 5, "ovh2": 5, "turing": 22, "gesis": 31, "hetzner-gesis": 7}

# name, first day, share of the launches, share of the repositories
_PROVIDERS = (
    ("GitHub", date.min, 0.9698, 0.949),
    ("Gist", date(2019, 4, 3), 0.015, 0.022),
    ("Git", date.min, 0.011, 0.016),
    ("GitLab", date.min, 0.004, 0.011),
    ("Zenodo", date(2019, 6, 13), 0.0001, 0.0006),
    ("Hydroshare", date(2019, 11, 20), 0.00004, 0.0004),
    ("Figshare", date(2019, 8, 20), 0.00003, 0.0004),
    ("Dataverse", date(2019, 12, 16), 0.00002, 0.0003),
    ("CKAN", date(2025, 3, 1), 0.00001, 0.0003),
)

_LOUDEST = (
    "ipython/ipython-in-depth/master",
    "jupyterlab/jupyterlab-demo/master",
    "binder-examples/requirements/master",
    "jupyterlab/jupyterlab-demo/try.jupyter.org",
    "ines/spacy-io-binder/live",
    "DS-100/textbook/master",
    "bokeh/bokeh-notebooks/master",
    "binder-examples/r/master",
    "QuantStack/xeus-cling/stable",
    "binder-examples/julia-python/master",
    "norvig/pytudes/master",
    "jakevdp/PythonDataScienceHandbook/master",
    "sympy/live/notebooks",
    "dask/dask-examples/main",
    "trekhleb/homemade-machine-learning/master",
    "scikit-learn/scikit-learn/1.0.X",
)
_SLOTS = 40_000  # repositories alive at one time
_ZIPF = (1.52, 2.5)  # exponent, flattening of the head

_OWNERS = (
    *("adams", "bauer", "chen", "data-lab", "dubois", "earthlab", "ferrari", "geo-hub", "hansen"),
    *("ito", "jensen", "kim", "kovacs", "lab-of-physics", "martin", "mlcourse", "novak"),
    *("okafor", "open-science", "patel", "py-class", "quantum", "rossi", "schmidt", "silva"),
    *("stats-group", "tanaka", "teach-yourself", "uni-course", "weber", "yilmaz", "zhang"),
)
_WORDS = (
    *("algebra", "analysis", "astro", "bayes", "binder", "biology", "calculus", "climate"),
    *("course", "data", "deep", "demo", "dynamics", "economics", "energy", "examples"),
    *("exercises", "finance", "genomics", "geo", "graph", "images", "intro", "jupyter"),
    *("learning", "lecture", "linear", "maps", "methods", "models", "network", "notebooks"),
    *("numerics", "optics", "physics", "plots", "python", "quantum", "regression", "signal"),
    *("statistics", "survey", "text", "tutorial"),
)
_BRANCHES = ("dev", "gh-pages", "v1.0", "v2.1.3", "feature/binder", "fix/setup", "été", "2021")
_SITES = ("https://jupyter.org", "https://docs.example.org", "https://course.example.edu", "null")

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

_DAY_FILE = re.compile(r"events-\d{4}-\d{2}-\d{2}\.jsonl(\.gz)?")
_FLAWED_EVERY = 7


def write_sample(
    out: str | Path,
    *,
    days: int = 30,
    start: date = date(2021, 2, 22),
    events_per_day: int = 20_000,
    seed: int = 0,
    flaws: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a made-up archive into a local folder.

    Parameters
    ----------
    out
        Folder to fill; made if need be, refused if it holds day files.
    days, start
        How many days, from which on. Archives of eight days and more lack a few of them.
    events_per_day
        Launches on an average day of 2019 to 2022; single days and years differ.
    seed
        Same seed, same bytes: a longer archive begins with the files of a shorter one.
    flaws
        Put some broken lines into one day in seven.
    progress
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
    if days < 1 or events_per_day < 1:
        raise ValueError("A sample needs at least one day and one event a day.")
    if days > (date.max - start).days:
        raise ValueError(f"{days} days from {start} on do not fit the calendar.")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a new or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if any(_DAY_FILE.fullmatch(path.name) for path in folder.iterdir()):
        raise ValueError(f"{folder} already holds day files; name a new or an empty folder.")

    population = _Population.from_seed(seed)
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
    # The real index is written before the last rewrite of the day files: it trails by a day.
    _write_whole(folder / "index.jsonl", "".join(index[: max(1, len(index) - 1)]).encode())
    return launches


@dataclass(frozen=True)
class _Population:
    """Slots of falling popularity, each held by one repository after the other."""

    seed: int
    weight: Floats
    noise: Floats
    provider: Ints
    failing: Floats
    with_token: Floats
    life: Ints
    phase: Ints
    commit_days: Ints

    @classmethod
    def from_seed(cls, seed: int) -> _Population:
        rng = np.random.default_rng(seed)
        rank = np.arange(_SLOTS)
        loud = rank < len(_LOUDEST)
        exponent, flat = _ZIPF
        by_provider = np.array([share for *_, share in _PROVIDERS])
        provider = rng.choice(len(_PROVIDERS), size=_SLOTS, p=by_provider / by_provider.sum())
        failing = rng.choice([0.01, 0.2, 0.95], size=_SLOTS, p=[0.79, 0.09, 0.12])
        with_token = rng.choice([1.0, 0.0, 0.9], size=_SLOTS, p=[0.8, 0.14, 0.06])
        life = rng.lognormal(np.log(250), 0.9, _SLOTS).astype(np.int64) + 14
        return cls(
            seed=seed,
            weight=np.power(rank + flat, -exponent, dtype=np.float64),
            noise=np.where(loud, 0.12, 0.6),
            provider=np.where(loud, 0, provider),
            failing=np.where(loud, 0.03, failing),
            with_token=np.where(loud, 0.9, with_token),
            life=np.where(loud, 10**7, life),
            phase=np.where(loud, 0, rng.integers(0, life)),
            commit_days=rng.lognormal(np.log(25), 1.0, _SLOTS).astype(np.int64) + 2,
        )

    def shares(self, day: date, rng: np.random.Generator) -> Floats:
        """Share of a day's launches each slot gets."""
        age = (day.toordinal() + self.phase) % self.life / self.life
        popularity = self.weight * (0.2 + 3 * np.sqrt(age) * (1 - age))
        popularity *= np.exp(self.noise * rng.standard_normal(_SLOTS))
        share = np.array([share if first <= day else 0.0 for _, first, share, _ in _PROVIDERS])
        share[0] += 1 - share.sum()
        of_provider = np.bincount(self.provider, popularity, minlength=len(_PROVIDERS))
        scaled = popularity * (share / np.maximum(of_provider, 1e-300))[self.provider]
        return np.asarray(scaled / scaled.sum())

    def fields(self, slot: int, day: date) -> tuple[str, str, str, str]:
        """Provider, spec, commit and request origin of the repository in a slot."""
        ordinal, life = day.toordinal(), int(self.life[slot])
        tenant, age = divmod(ordinal + int(self.phase[slot]), life)
        digest = hashlib.sha256(f"{self.seed}/{slot}/{tenant}".encode()).digest()
        name = _PROVIDERS[self.provider[slot]][0]
        spec = _LOUDEST[slot] if slot < len(_LOUDEST) else _spec(name, digest, ordinal - age)
        commit = f"{spec}/{(ordinal + slot) // int(self.commit_days[slot])}"
        site = _SITES[digest[20] % len(_SITES)] if digest[21] < 16 else ""
        return name, spec, hashlib.sha256(commit.encode()).hexdigest()[:40], site


def _spec(provider: str, digest: bytes, born: int) -> str:
    """Spec of a made-up repository, as BinderHub writes it for this provider."""
    number = int.from_bytes(digest[:4], "big")
    owner = f"{_OWNERS[digest[4] % len(_OWNERS)]}{digest[5] * 4 if digest[6] < 160 else ''}"
    repo = "-".join(_WORDS[byte % len(_WORDS)] for byte in digest[8 : 10 + digest[7] % 2])
    commit = hashlib.sha256(digest).hexdigest()[:40]
    if digest[12] < 26:
        ref = _BRANCHES[digest[13] % len(_BRANCHES)]
    elif digest[12] < 32:
        ref = commit
    elif digest[12] < 64:
        ref = "HEAD"
    else:
        ref = "main" if born > date(2020, 10, 1).toordinal() and digest[12] < 220 else "master"
    if provider == "GitHub":
        return f"{owner}/{repo}/{ref}"
    if provider == "Gist":
        return f"{owner}/{digest[:16].hex()}/{'HEAD' if ref == 'HEAD' else 'master'}"
    if provider == "Git":
        return f"https%3A%2F%2Fgit.example.org%2F{owner}%2F{repo}/{commit}"
    if provider == "GitLab":
        return f"{owner}%2F{repo}/{ref}"
    return {
        "Zenodo": f"10.5281/zenodo.{number % 7_000_000}",
        "Hydroshare": f"10.4211/hs.{digest[:16].hex()}",
        "Figshare": f"10.6084/m9.figshare.{number % 20_000_000}.v1",
        "Dataverse": f"10.7910/DVN/{digest[:3].hex().upper()}",
        "CKAN": f"https%3A%2F%2Fckan.example.org%2Fdataset%2F{repo}-{number % 1000}",
    }[provider]


def _day_lines(population: _Population, day: date, events_per_day: int) -> list[bytes]:
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
    found = np.nonzero(cells)
    for row, failed, has_token, host in zip(*(axis.tolist() for axis in found), strict=True):
        provider, spec, commit, site = population.fields(int(slots[row]), day)
        origin = hosts[host][0]
        status = "failure" if failed else "success"
        optional = ((3, "origin", origin), (4, "ref", commit), (5, "build_token", bool(has_token)))
        for version, tails in ((versions[host][0], before), (versions[host][1], after)):
            event: dict[str, Any] = {"schema": "binderhub.jupyter.org/launch", "version": version}
            event |= {"provider": provider, "spec": spec, "status": status}
            event |= {key: value for since, key, value in optional if version >= since}
            if version >= 6:
                event["request_origin"] = site
            tails.append(f", {json.dumps(event)[1:]}\n".encode())

    kinds = rng.permutation(np.repeat(np.arange(len(before)), cells[found]))
    minutes = _minutes(rng, len(kinds))
    switched = minutes >= np.array([switch for *_, switch in versions])[found[3]][kinds]
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(1440)]
    heads = np.array([f'{{"timestamp": "{day}T{hm}:00+00:00"'.encode() for hm in clock], object)
    ends = np.array(before + after, object)
    return list(heads[minutes] + ends[kinds + len(before) * switched])


def _routes(slots: Ints, share: Floats, day: date) -> Floats:
    """Probability of each host for each slot: mostly that of the member it is routed to."""
    share = share / share.sum()
    if day < _ROUTED_BY_REPOSITORY:
        return np.broadcast_to(share, (len(slots), len(share)))
    # Multiples of the golden ratio spread evenly: the loud repositories too split by share.
    home = np.searchsorted(np.cumsum(share)[:-1], slots * 0.6180339887498949 % 1, side="right")
    route = np.tile(share * _AWAY_FROM_HOME, (len(slots), 1))
    route[np.arange(len(slots)), home] += 1 - _AWAY_FROM_HOME
    return route


def _versions(member: str, day: date) -> tuple[int, int, int]:
    """Version a member publishes at first, at last, and the minute it changes over."""
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
    year, place = divmod(offset, 365)
    return place == 5 or (place == 6 and year % 2 == 1)


def _with_flaws(lines: list[bytes], day: date, rng: np.random.Generator) -> list[bytes]:
    """Lines with broken copies of a few of them put in between."""
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
        for place in rng.integers(0, len(lines), rng.integers(1, 4)):
            flawed.insert(int(place), broken(lines[place]))
    return flawed


def _index_line(day: date, lines: int) -> str:
    count = lines if day.toordinal() % 3 == 0 else str(lines)
    entry = {"name": f"events-{day}.jsonl", "date": str(day), "count": count}
    return json.dumps(entry) + "\n"


def _write_whole(path: Path, body: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(body)
    part.replace(path)
