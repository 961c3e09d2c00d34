"""How the results changed over commits, and whether the newest are worse than noise explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Row
from benchmarks.workloads import OURS

TOLERANCE = {"compare": 0.10, "small": 0.25}
"""Share of a ratio that may be lost without a word; parts are short and so noisier."""

_SPREADS = 3  # a loss counts from so many robust standard deviations of earlier ratios
_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, for normal noise


@dataclass(frozen=True)
class Trend:
    """The rows of one contender on one workload and machine, the oldest first."""

    workload: str
    contender: str
    rows: tuple[Row, ...]

    @property
    def expected(self) -> float | None:
        """Median of the ratios of all runs but the newest."""
        earlier = [row.ratio for row in self.rows[:-1]]
        return median(earlier) if earlier else None

    @property
    def allowed(self) -> float:
        """Smallest ratio of the newest run that noise explains."""
        if self.expected is None:
            return 0.0
        earlier = [row.ratio for row in self.rows[:-1]]
        spread = _TO_SIGMA * median(abs(value - self.expected) for value in earlier)
        tolerance = TOLERANCE[self.rows[-1].benchmark] * self.expected
        return self.expected - max(tolerance, _SPREADS * spread)

    @property
    def regressed(self) -> bool:
        """Whether we lost more on this contender than noise explains."""
        return self.rows[-1].ratio < self.allowed


def trends(rows: Sequence[Row]) -> list[Trend]:
    """Sort rows into trends of comparable ones, in the order in which they first appear.

    Parameters
    ----------
    rows : sequence of Row
        The oldest first.

    Returns
    -------
    list of Trend
        Ours included; a ratio depends on processor and cores, so each machine has its own.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        machine = row.circumstances.machine
        where = f"{machine['cpu']}, {machine['cores']} cores"
        groups.setdefault((row.workload, row.contender, where), []).append(row)
    return [Trend(workload, who, tuple(group)) for (workload, who, _), group in groups.items()]


def regressions(rows: Sequence[Row]) -> list[str]:
    """Say where the newest run of a workload lost more than noise explains.

    Parameters
    ----------
    rows : sequence of Row
        The oldest first.

    Returns
    -------
    list of str
        A sentence for each loss. Only ratios within one run are looked at, never seconds.
    """
    return [
        f"{trend.workload}: {trend.contender} took {trend.rows[-1].ratio:.2f} times as long as we "
        f"at {trend.rows[-1].circumstances.commit}, {trend.expected:.2f} before; "
        f"{trend.allowed:.2f} would be noise"
        for trend in trends(rows)
        if trend.contender != OURS and trend.regressed
    ]
