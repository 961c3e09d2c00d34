"""The members of a federation, looked up by host name and date.

Later clusters reused host names, so the date always matters. The facts are in `federation.toml`;
this module reads no launches.
"""

import hashlib
import json
from datetime import date
from functools import cached_property
from importlib.resources import files
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import msgspec

from daskbinder.model.toml import read_toml

__all__ = ["Federation", "Interval", "host_of"]

UNKNOWN = "unknown"
"""The member of an origin without a host."""

_LABEL_LENGTH = 63  # of a DNS label, RFC 1035 section 2.3.4


class Interval(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"first": "from", "last": "to"},
):
    """The period in which a host name belonged to a member.

    `first` and `last` are None where unknown or not ended; `source` says where the information
    comes from. Raises ValueError when a name is missing, or the first day comes after the last.
    """

    host: str
    member: str
    first: date | None = None
    last: date | None = None
    source: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "host", host_of(self.host))
        for name in ("host", "member"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name!r} is missing")
        if self.bounds[0] > self.bounds[1]:
            raise ValueError(f"'from' {self.first} is after 'to' {self.last}")

    @property
    def bounds(self) -> tuple[date, date]:
        """First and last day; the ends of the calendar where open."""
        return self.first or date.min, self.last or date.max

    def distance(self, day: date) -> int:
        """Days between the interval and `day`; 0 within it."""
        first, last = self.bounds
        return max((first - day).days, (day - last).days, 0)


class Federation(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"intervals": "host"},
    dict=True,  # for the cached property
):
    """The table of host names, members and dates.

    Attributes
    ----------
    intervals : tuple of Interval
        Its entries, in any order.

    Raises
    ------
    ValueError
        When two intervals of one host overlap.

    Examples
    --------
    >>> from datetime import date
    >>> federation = Federation.load()
    >>> federation.member("ovh.mybinder.org:443", date(2021, 3, 4))
    'ovh'
    >>> federation.member("hub.example.org", date(2021, 3, 4))
    'hub'
    """

    intervals: tuple[Interval, ...]

    def __post_init__(self) -> None:
        for host, intervals in self._by_host.items():
            for one, other in pairwise(intervals):
                if other.bounds[0] <= one.bounds[1]:
                    raise ValueError(
                        f"the intervals of {host!r} for {one.member!r} and {other.member!r}"
                        f" overlap on {other.bounds[0]}"
                    )

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Federation":
        """Read a table.

        Parameters
        ----------
        path : str or Path, optional
            A TOML file of ``[[host]]`` tables with ``host``, ``member`` and, each optional,
            ``from``, ``to`` (TOML dates; missing: open) and ``source``. The packaged table if
            not given.

        Returns
        -------
        Federation

        Raises
        ------
        InputError
            When the file cannot be read or used; the message names the file and the entry at fault.

        Notes
        -----
        The packaged table was compiled from the history of jupyterhub/mybinder.org-deploy; each
        entry gives its source.
        """
        file = files("daskbinder.model") / "federation.toml" if path is None else Path(path)
        return read_toml(file, cls, "the federation table")

    def member(self, origin: str, day: date) -> str:
        """Find the member behind an origin.

        Parameters
        ----------
        origin : str
            The Host header of a launch: any string, with or without a port.
        day : datetime.date
            The UTC date of the launch.

        Returns
        -------
        str
            The member whose interval holds the day. Outside all intervals of a known host, the
            nearest one (the earlier on a tie). For an unknown host, its first DNS
            label, or the whole of an IP address, cut at 63 characters; ``"unknown"`` if empty.

        Notes
        -----
        The label of an unknown host may be the name of a member; `knows` tells them apart.
        """
        host = host_of(origin)
        intervals = self._by_host.get(host)
        if intervals:
            return min(intervals, key=lambda interval: interval.distance(day)).member
        label = host if _is_address(host) else host.partition(".")[0]
        return label[:_LABEL_LENGTH] or UNKNOWN

    def knows(self, origin: str) -> bool:
        """Whether the host of an origin is in the table."""
        return host_of(origin) in self._by_host

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, sorted."""
        return tuple(sorted({interval.member for interval in self.intervals}))

    def begins(self, member: str) -> date | None:
        """First day of any host of a member; None if unknown."""
        return min((one.first for one in self._dated(member) if one.first), default=None)

    def ends(self, member: str) -> date | None:
        """Last day of all hosts of a member; None if one has not ended."""
        lasts = [one.last for one in self._dated(member)]
        return max((last for last in lasts if last), default=None) if all(lasts) else None

    def span(self, member: str) -> tuple[date, date | None] | None:
        """Find when a member was part of the federation.

        Parameters
        ----------
        member : str
            A name.

        Returns
        -------
        tuple of (date, date or None) or None
            First and last day; the last is None if it has not ended. None instead of the pair if
            the first is unknown: the member is not in the table, or has no dates.

        Notes
        -----
        An entry without dates says nothing about when a member began or ended.
        """
        first = self.begins(member)
        return None if first is None else (first, self.ends(member))

    @property
    def fingerprint(self) -> str:
        """Hex digest of hosts, members and dates, independent of order and sources."""
        rows = sorted(
            [one.host, one.member, str(one.first), str(one.last)] for one in self.intervals
        )
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def _dated(self, member: str) -> list[Interval]:
        of_member = (one for one in self.intervals if one.member == member)
        return [one for one in of_member if one.first or one.last]

    @cached_property
    def _by_host(self) -> dict[str, list[Interval]]:
        hosts: dict[str, list[Interval]] = {}
        for interval in sorted(self.intervals, key=lambda interval: interval.bounds):
            hosts.setdefault(interval.host, []).append(interval)
        return hosts


def host_of(origin: str) -> str:
    """Host in a Host header, case folded, without port and trailing dot; may be empty.

    Takes any string: ``host``, ``host:port``, ``[IPv6]``, ``[IPv6]:port``, or arbitrary
    text. An IPv6 address without brackets has no port to strip (RFC 9110, 7.2; RFC 3986, 3.2.2).

    Examples
    --------
    >>> host_of("GKE.mybinder.org:443")
    'gke.mybinder.org'
    """
    host, colon, port = origin.rpartition(":")
    if not colon or port.strip("0123456789") or _is_address(origin):
        host = origin
    return host.casefold().removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return False
    return True
