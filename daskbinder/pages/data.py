"""A finished data set as arrays that are quick to sum, loaded once and never changed."""

from dataclasses import dataclass, replace
from datetime import date
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
from daskbinder.model.dates import day_number
from daskbinder.model.hub import MYBINDER
from daskbinder.plots import timeseries
from daskbinder.text import readable


@dataclass(frozen=True)
class PageData:
    """What the pages show of a data set."""

    instance: str
    days: pd.DataFrame  # state of each day of the archive: `frames.completeness`
    index: pd.DatetimeIndex  # every day of the series, without a time zone
    members: tuple[str, ...]  # those with the most launches first, as all that follow
    providers: tuple[str, ...]
    directory: pa.Table  # of repositories
    provider_of: Any  # int32, by repository: an index of `providers`
    launches: select.Launches  # by day, index of `members`, and row of `directory`
    cube: Any  # int64, by day, member and provider: launches
    hourly: Any  # int64, by day, hour and member: launches
    active: Any  # bool, by day and member: whether it was part of the federation

    @classmethod
    def load(cls, rollups: Rollups) -> "PageData":
        """Read a data set."""
        daily, hourly = (_wide(rollups, by) for by in ("day", "hour"))
        if not np.nansum(daily.to_numpy()):
            raise InputError(f"{rollups.location} holds no launches, so there is nothing to show")
        index = pd.date_range(daily.index[0], daily.index[-1], freq="D")
        members = tuple(daily.sum().sort_values(ascending=False).index)
        hours = pd.date_range(index[0], periods=len(index) * 24, freq="h")
        by_hour = hourly.reindex(hours)[[*members]]
        directory, launches = select.directory(rollups), frames.launches(rollups)
        index_of = np.array([members.index(name) for name in launches.members], np.int16)
        launches = replace(launches, members=members, member=index_of[launches.member])
        provider = directory["provider"].cast(pa.string())
        sums = pa.table({"provider": provider, "n": directory["n"]}).group_by("provider")
        providers = sums.aggregate([("n", "sum")]).sort_by([("n_sum", "descending")])["provider"]
        provider_of = pc.index_in(provider, providers).to_numpy()
        shape = len(index), len(members), len(providers)
        day = launches.day - day_number(index[0])
        cell = np.ravel_multi_index((day, launches.member, provider_of[launches.repository]), shape)
        cube = np.bincount(cell, weights=launches.n, minlength=int(np.prod(shape)))
        return cls(
            instance=readable(rollups.instance, 120),
            days=frames.completeness(rollups),
            index=index,
            members=members,
            providers=tuple(providers.to_pylist()),
            cube=cube.astype(np.int64).reshape(shape),
            active=daily.reindex(index)[[*members]].notna().to_numpy(),
            hourly=by_hour.fillna(0).to_numpy("int64").reshape(len(index), 24, len(members)),
            directory=directory,
            provider_of=provider_of,
            launches=launches,
        )

    @property
    def first(self) -> date:
        """The first day of the series."""
        return self.index[0].date()

    @property
    def last(self) -> date:
        """The last day of the series."""
        return self.index[-1].date()

    @cached_property
    def notes(self) -> tuple[Annotation, ...]:
        """Known gaps and breaks; the packaged ones are about mybinder.org alone."""
        return annotations() if self.instance == MYBINDER.name else ()

    @cached_property
    def present(self) -> Any:
        """Whether each day has a file, or launches from the file of a neighbouring day."""
        return self.index.isin(self.days.loc[self.days["present"], "date"]) | self.active.any(
            axis=1
        )

    @cached_property
    def states(self) -> pd.DataFrame:
        """State of each day of the archive."""
        return timeseries.states(self.days)

    @cached_property
    def ids(self) -> pa.Array:
        """``provider/name`` of each repository, which the address of the page holds."""
        provider = self.directory["provider"].cast(pa.string())
        names = pc.binary_join_element_wise(provider, self.directory["repository"], "/")
        return names.combine_chunks()


def _wide(rollups: Rollups, by: str) -> pd.DataFrame:
    """Load launches of each member, a column each, without a time zone."""
    frame = rollups.federation(by, wide=True).tz_localize(None)
    return frame.set_axis([str(name) for name in frame], axis=1)
