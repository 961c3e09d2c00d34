"""What the explorer and the report show of a finished data set, loaded once and never changed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import frames, select
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model.annotations import Annotation, annotations
from daskbinder.model.dates import day_of
from daskbinder.model.hub import MYBINDER
from daskbinder.plots import timeseries
from daskbinder.text import readable


@dataclass(frozen=True)
class PageData:
    """What the explorer shows, loaded once.

    Attributes
    ----------
    instance : str
        The BinderHub whose launches these are, as it is shown.
    days : pandas.DataFrame
        What there is of each day, as `frames.completeness` gives it.
    members, providers : tuple of str
        The most launched first.
    first : int
        The first day of the series, in days from 1970-01-01.
    cube : ndarray of int64
        Launches by day, member and provider.
    alive : ndarray of bool
        Whether a member has a value on a day, by day and member.
    hourly : ndarray of int64
        Launches by day, hour and member.
    known : pyarrow.Table
        The repositories, the most launched first.
    launches : select.Launches
        Launches by day, member (of `lookup`, placed by `place`) and repository.
    place : ndarray of int
        Where a member of `launches` is among `members`.
    """

    instance: str
    days: pd.DataFrame
    members: tuple[str, ...]
    providers: tuple[str, ...]
    first: int
    cube: Any
    alive: Any
    hourly: Any
    known: pa.Table
    launches: select.Launches
    place: Any

    @classmethod
    def load(cls, rollups: Rollups) -> "PageData":
        """Read them from a data set."""
        daily, hourly = (rollups.federation(by, wide=True) for by in ("day", "hour"))
        if not np.nansum(daily.to_numpy()):
            raise InputError(
                f"{rollups.location} holds no launches, so there is nothing to look at"
            )
        known = select.directory(rollups)
        launches = frames.launches(rollups)
        members = tuple(str(name) for name in daily.sum().sort_values(ascending=False).index)
        daily = daily.set_axis([str(name) for name in daily], axis=1)[list(members)]
        hourly = hourly.set_axis([str(name) for name in hourly], axis=1)[list(members)]
        sums = pa.table({"p": known["provider"].cast(pa.string()), "n": known["n"]})
        sums = sums.group_by("p").aggregate([("n", "sum")]).sort_by([("n_sum", "descending")])
        providers = sums["p"]
        day = pd.DatetimeIndex(daily.index).tz_localize(None).to_numpy().astype("datetime64[D]")
        number = day.astype(np.int64)
        first, days = int(number[0]), int(number[-1] - number[0]) + 1
        alive = np.zeros((days, len(members)), bool)
        alive[number - first] = daily.notna().to_numpy()
        place = np.array([members.index(name) for name in launches.members], np.int64)
        provider = pc.index_in(known["provider"].cast(pa.string()), providers).to_numpy()
        cell = (launches.day.astype(np.int64) - first) * len(members) + place[launches.member]
        cell = cell * len(providers) + provider[launches.repository]
        shape = days, len(members), len(providers)
        cube = np.bincount(cell, weights=launches.n, minlength=int(np.prod(shape)))
        hour = pd.DatetimeIndex(hourly.index).tz_localize(None).to_numpy().astype("datetime64[h]")
        grid = np.zeros((days * 24, len(members)), np.int64)
        grid[hour.astype(np.int64) - first * 24] = hourly.fillna(0).to_numpy("int64")
        return cls(
            readable(rollups.instance, 120),
            frames.completeness(rollups),
            members,
            tuple(providers.to_pylist()),
            first,
            cube.astype(np.int64).reshape(shape),
            alive,
            grid.reshape(days, 24, len(members)),
            known,
            launches,
            place,
        )

    @cached_property
    def last(self) -> int:
        """The last day of the series."""
        return self.first + len(self.cube) - 1

    @cached_property
    def notes(self) -> tuple[Annotation, ...]:
        """What is known of its days: the packaged annotations are of one archive alone."""
        return annotations() if self.instance == MYBINDER.name else ()

    @cached_property
    def index(self) -> pd.DatetimeIndex:
        """The days of the series."""
        return pd.date_range(day_of(self.first), periods=len(self.cube), freq="D")

    @cached_property
    def present(self) -> Any:
        """Whether a day of the series has a file, or launches from the file beside it."""
        there = self.days.loc[self.days["present"], "date"].to_numpy().astype("datetime64[D]")
        number = there.astype(np.int64) - self.first
        found: Any = self.alive.any(axis=1)
        found[number[(number >= 0) & (number < len(found))]] = True
        return found

    @cached_property
    def states(self) -> pd.DataFrame:
        """In what state each day of the archive is."""
        return timeseries.states(self.days)

    @cached_property
    def identity(self) -> pa.Array:
        """What a repository is called in an address: its provider, a slash, its name."""
        provider = self.known["provider"].cast(pa.string())
        return pc.binary_join_element_wise(provider, self.known["repository"], "/").combine_chunks()

    @cached_property
    def provider_of(self) -> Any:
        """Place among `providers` of each repository."""
        names = self.known["provider"].cast(pa.string())
        return pc.index_in(names, pa.array(self.providers)).to_numpy()
