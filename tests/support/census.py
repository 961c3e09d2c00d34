"""A slow count of repositories in plain Python; shares no code with what it judges.

Except for one question, which it does not judge: what of a spec is secret.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote

from daskbinder.redaction import without_secrets
from support.oracle import DAY, Oracle, dates, label, member_of

WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
HEX = "0123456789abcdef"
DOI = ("Zenodo", "Figshare", "Dataverse")
FOLDED = ("GitHub", "Gist", "GitLab", *DOI)
KNOWN = (*FOLDED, "Git", "Hydroshare", "CKAN")


class Named(NamedTuple):
    provider: str
    repository: str
    org: str | None
    ref: str | None


def named(provider: str, spec: str, version: int) -> Named:
    """Return what a spec names, without secrets; which those are is not judged here."""
    provider, *texts = read(provider, spec, version)
    return Named(provider, *(text and without_secrets(text) for text in texts))


def read(provider: str, spec: str, version: int) -> Named:
    """Return what a spec names, one rule after the other."""
    if provider == "GitHub":
        owner, name, rest = three(spec)
        if version < 2:
            gist = owner_and_name(
                gist_user(unquote(owner + "/" + name) if name is not None else "")
            )
            if gist and len(gist[1]) in (20, 32) and not gist[1].strip(HEX):
                ref, *_ = (rest or "").split("/")  # what follows means nothing, as for any Gist
                return Named("Gist", "/".join(gist), gist[0], some(ref))
        found = owner_and_name(unquote(f"{owner}/{name}")) if name is not None else None
        if found and found[1].strip("."):
            return Named(provider, "/".join(found), found[0], some(rest))
    elif provider == "Gist":
        parts = spec.split("/")
        found = owner_and_name(gist_user(unquote("/".join(parts[:2]))))
        if len(parts) > 1 and found and not found[1].lower().strip(HEX):
            return Named(provider, "/".join(found), found[0], some(parts[2] if parts[2:] else ""))
    elif provider == "GitLab":
        namespace, _, rest = spec.partition("/")
        groups = trimmed(unquote(namespace)).lstrip("/").split("/")
        if len(groups) > 1 and all(group and not group.strip(WORD + ".") for group in groups):
            return Named(provider, "/".join(groups), groups[0], some(rest))
    elif provider == "Git":
        url, _, rest = spec.partition("/")
        url = unquote(url)
        scp = re.match(r"([A-Za-z0-9_-]+)@([A-Za-z0-9_.-]+):([^\n]+)", url)
        if scp and "\n" not in url:
            url = f"ssh://{scp[2]}/{scp[3]}"
        scheme, separator, address = trimmed(url).partition("://")
        host, slash, path = without_user(address).partition("/")
        path = path.lstrip("/")
        valid = separator and is_scheme(scheme) and is_host(host) and slash
        if valid and path and "\n" not in path:
            owner, deeper, below = path.partition("/")
            org = lower(host)
            if deeper and below and not below.startswith("/"):
                org += "/" + owner
            return Named(provider, f"{lower(scheme)}://{lower(host)}/{path}", org, some(rest))
    elif provider in DOI:
        text = trimmed(unquote(spec))
        for prefix in ("https://doi.org/", "http://doi.org/", "https://dx.doi.org/"):
            text = text[len(prefix) :] if lower(text).startswith(prefix) else text
        text = text[4:] if lower(text).startswith("doi:") else text
        prefix, _, suffix = text.partition("/")
        valid = prefix.startswith("10.") and len(prefix) > 6 and not prefix[3:].strip(".0123456789")
        if valid and suffix and suffix[0] != "/" and not set(suffix) & set("\t\n\f\r "):
            return Named(provider, text, prefix, None)
    elif provider == "Hydroshare":
        found = re.findall(r"(?=([0-9a-f]{32}))", trimmed(unquote(spec)))
        if found:
            return Named(provider, found[-1], "www.hydroshare.org", None)
    elif provider == "CKAN":
        return ckan(spec) or Named(provider, spec, None, None)
    return Named(provider, spec, None, None)


def ckan(spec: str) -> Named | None:
    text = trimmed(unquote(spec))
    scheme, colon, rest = text.partition(":")
    slashes = len(rest) - len(rest.lstrip("/"))
    if not colon or lower(scheme) not in ("http", "https") or slashes not in (1, 2):
        return None
    host, _, path = without_user(rest[slashes:]).partition("/")
    prefix, mark, name = f"/{path}".partition("/dataset/")
    name = re.split(r"[/?#\t\n\f\r ]", name.lstrip("/"))[0]
    if not (host and mark and name) or "\n" in prefix:
        return None
    return Named(
        "CKAN", f"{lower(scheme)}://{lower(host)}{prefix}/dataset/{name}", lower(host), None
    )


def three(spec: str) -> tuple[str, str | None, str]:
    parts = spec.split("/", 2)
    return parts[0], parts[1] if len(parts) > 1 else None, parts[2] if len(parts) > 2 else ""


def gist_user(where: str) -> str:
    for prefix in ("https://gist.github.com/", "http://gist.github.com/"):
        where = where.removeprefix(prefix)
    return where


def owner_and_name(where: str) -> tuple[str, str] | None:
    parts = trimmed(where).split("/")
    if len(parts) != 2 or any(not part or part.strip(WORD + ".") for part in parts):
        return None
    return parts[0], parts[1]


def trimmed(text: str) -> str:
    while text.endswith((".git", "/")):
        text = text.removesuffix(".git").rstrip("/")
    return text


def some(ref: str) -> str | None:
    return unquote(ref).strip("/") or None


def without_user(address: str) -> str:
    host, slash, path = address.partition("/")
    return host.rpartition("@")[2] + slash + path


def is_scheme(text: str) -> bool:
    return (
        text[:1].isascii() and text[:1].isalpha() and not text.strip(WORD.replace("_", "") + "+.")
    )


def is_host(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    within = host[1:-1] if host[:1] == "[" and host[-1:] == "]" and len(host) > 1 else None
    return not port.strip("0123456789") and ((":" not in host and host != "") or within is not None)


def lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


# Counts -----------------------------------------------------------------------------------------


def visits(oracle: Oracle) -> Counter[tuple[date, str, Named]]:
    """Count launches by date, member and what they name."""
    found: Counter[tuple[date, str, Named]] = Counter()
    for launch in oracle.launches():
        origin = "gke.mybinder.org" if launch.origin is None else launch.origin
        member = member_of(origin, launch.date, oracle.hosts)
        found[launch.date, member, named(launch.provider, launch.spec, launch.version)] += 1
    return found


def identity(what: Named) -> tuple[str, str]:
    return what.provider, lower(what.repository) if what.provider in FOLDED else what.repository


def tables(oracle: Oracle) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table about repositories, by the name of its file."""
    launched = visits(oracle)
    months: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for (day, member, what), n in launched.items():
        months[label("monthly", day)].append((day, member, *what, n))
    by_name: dict[tuple[str, str], Counter[Named]] = defaultdict(Counter)
    days: dict[tuple[str, str], set[date]] = defaultdict(set)
    for (day, _, what), n in launched.items():
        by_name[identity(what)][what._replace(ref=None)] += n
        days[identity(what)].add(day)
    directory = []
    for same, spellings in by_name.items():
        chosen = min(spellings, key=lambda what: (-spellings[what], what.repository))
        seen = days[same]
        row = (chosen.provider, chosen.repository, chosen.org, spellings.total(), len(seen))
        directory.append((*row, min(seen), max(seen)))
    directory.sort(key=lambda row: (-row[3], row[0], row[1]))
    return {
        **{
            f"repositories/by-day/{month}.parquet": sorted(
                rows, key=lambda row: (*row[:4], row[5] is None, row[5])
            )
            for month, rows in months.items()
        },
        "repositories/all.parquet": directory,
        "repositories/active.parquet": list(active(oracle.present, list(days.values()))),
    }


def active(present: list[date], days: list[set[date]]) -> Iterable[tuple[Any, ...]]:
    """Return the repositories active in each window: window, first, last, how many, days there."""
    ends = sorted({*present, *(day for of_one in days for day in of_one)})

    def row(name: str, first: date, last: date) -> tuple[Any, ...]:
        within = set(dates(first, last))
        return name, first, last, sum(bool(d & within) for d in days), len(within & set(present))

    weeks = sorted({day - timedelta(days=day.weekday()) for day in ends})
    months = sorted({day.replace(day=1) for day in ends})
    for day in ends:
        yield row("day", day, day)
    for day in weeks:
        yield row("week", day, day + 6 * DAY)
    for day in months:
        yield row("month", day, (day + 31 * DAY).replace(day=1) - DAY)
    for length in (7, 30, 90):
        for day in ends:
            yield row(f"{length}d", day - (length - 1) * DAY, day)
