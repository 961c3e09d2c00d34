"""The tables of repositories in Polars: launches by day and target, the directory, who was active.

Specs are read by rules of its own, as far as the sample archive needs them.
"""

from datetime import timedelta
from urllib.parse import unquote

import polars as pl

_NAME = ["provider", "repository", "org"]
_TARGET = [*_NAME, "ref"]
_DAY = timedelta(days=1)


def named(specs: pl.DataFrame) -> pl.DataFrame:
    """Read specs: to ``provider`` and ``spec`` comes what each names.

    ``code`` numbers the repository, which is the same for names that differ in nothing but case,
    and ``target`` what was asked for.
    """
    provider, name = pl.col("provider"), pl.col("name")
    two = pl.col("spec").str.splitn("/", 3).struct
    one = pl.col("spec").str.splitn("/", 2).struct
    owned, escaped = provider.is_in(["GitHub", "Gist"]), provider.is_in(["GitLab", "Git"])
    return (
        specs.lazy()
        .with_columns(
            name=pl.when(owned)
            .then(two.field("field_0") + "/" + two.field("field_1"))
            .when(escaped)
            .then(_decoded(one.field("field_0")))
            .when(provider == "Hydroshare")
            .then(_decoded(pl.col("spec")).str.extract("([0-9a-f]{32})"))
            .otherwise(_decoded(pl.col("spec"))),
            ref=_decoded(
                pl.when(owned).then(two.field("field_2")).when(escaped).then(one.field("field_1"))
            ).replace("", None),
        )
        .with_columns(
            repository=pl.coalesce("name", "spec"),
            org=pl.when(name.is_null())
            .then(None)
            .when(provider == "Git")
            .then(name.str.extract("^[^/]*//([^/]*/[^/]*)"))
            .when(provider == "CKAN")
            .then(name.str.extract("^[^/]*//([^/]*)"))
            .when(provider == "Hydroshare")
            .then(pl.lit("www.hydroshare.org"))
            .otherwise(name.str.extract("^([^/]*)")),
        )
        .with_columns(
            same=pl.when(provider.is_in(["Git", "CKAN"]))
            .then("repository")
            .otherwise(pl.col("repository").str.to_lowercase())
        )
        .with_columns(
            code=pl.struct("provider", "same").rank("dense"),
            target=pl.struct("provider", "repository", "ref").rank("dense"),
        )
        .select("spec", *_TARGET, "code", "target")
        .collect()
    )


def _decoded(text: pl.Expr) -> pl.Expr:
    return text.map_batches(_unquoted, return_dtype=pl.String)


def _unquoted(texts: pl.Series) -> pl.Series:
    escaped = texts.filter(texts.str.contains("%", literal=True)).unique()
    return texts.replace(escaped, pl.Series([unquote(text) for text in escaped], dtype=pl.String))


def launched(daily: pl.DataFrame, by_host: pl.DataFrame) -> pl.DataFrame:
    """Count launches by date, federation member and target.

    Parameters
    ----------
    daily : polars.DataFrame
        The daily rollup.
    by_host : polars.DataFrame
        ``date``, ``origin`` and the ``federation`` that it means.
    """
    names = named(daily.select("provider", "spec").unique())
    targets = names.unique("target").drop("spec")
    return (
        daily.lazy()
        .select("provider", "spec", "origin", "n", date=pl.col("timestamp").dt.date())
        .join(names.lazy().select("provider", "spec", "target"), on=["provider", "spec"])
        .join(by_host.lazy(), on=["date", "origin"])
        .group_by("date", "federation", "target")
        .agg(pl.col("n").sum())
        .join(targets.lazy(), on="target")
        .sort("date")
        .collect(engine="streaming")
    )


def by_day(launched: pl.DataFrame) -> pl.DataFrame:
    """Give the columns that are written of the launches by day."""
    return launched.select("date", "federation", *_TARGET, "n")


def summed_up(launched: pl.DataFrame, days: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Give the directory, and the counts of active repositories.

    Parameters
    ----------
    launched : polars.DataFrame
        As `launched` gives them.
    days : polars.DataFrame
        ``date`` of each day file.
    """
    visits = launched.select("code", "date").unique().sort("code", "date")
    dates = days.with_columns(file=1).join(
        visits.select("date").unique(), on="date", how="full", coalesce=True
    )
    return {
        "repositories/all": _directory(launched, visits),
        "repositories/active": _activity(visits, dates.sort("date")),
    }


def _directory(launched: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    """All repositories, each under the name written most often, the first of equals."""
    seen = (
        visits.lazy()
        .group_by("code")
        .agg(
            days=pl.len().cast(pl.Int64),
            first_seen=pl.col("date").first(),
            last_seen=pl.col("date").last(),
        )
    )
    return (
        launched.lazy()
        .group_by("code", "repository")
        .agg(pl.col("n").sum(), pl.first("provider", "org"))
        .sort("n", "repository", descending=[True, False])
        .group_by("code", maintain_order=True)
        .agg(pl.first(*_NAME), pl.col("n").sum())
        .join(seen, on="code")
        .select(*_NAME, "n", "days", "first_seen", "last_seen")
        .sort("n", "provider", "repository", descending=[True, False, False])
        .collect(engine="streaming")
    )


def _activity(visits: pl.DataFrame, dates: pl.DataFrame) -> pl.DataFrame:
    """How many repositories had a launch in windows of the calendar and in rolling ones."""
    date, files = pl.col("date"), pl.col("file").fill_null(0)
    parts = []
    for name, unit in (("day", "1d"), ("week", "1w"), ("month", "1mo")):
        first = date.dt.truncate(unit).alias("first")
        counted = visits.group_by(first).agg(repositories=pl.col("code").n_unique())
        found = dates.group_by(first).agg(days=files.sum()).join(counted, on="first", how="left")
        last = pl.col("first").dt.offset_by(unit) - _DAY
        parts.append(found.with_columns(window=pl.lit(name), last=last).sort("first"))
    # A launch brings its repository into rolling windows, until they have left it behind or the
    # next launch has taken its place.
    visits = visits.with_columns(following=date.shift(-1).over("code"))
    begun = visits.group_by("date").len("begun")
    for length in (7, 30, 90):
        left = pl.min_horizontal(date + length * _DAY, "following")
        gone = visits.select(date=left).group_by("date").len("gone")
        change = pl.col("begun").fill_null(0).cast(pl.Int64) - pl.col("gone").fill_null(0)
        parts.append(
            begun.join(gone, on="date", how="full", coalesce=True)
            .join(dates.with_columns(counts=True), on="date", how="full", coalesce=True)
            .sort("date")
            .select(
                "counts",
                window=pl.lit(f"{length}d"),
                first=date - (length - 1) * _DAY,
                last=date,
                repositories=change.cum_sum(),
                days=files.rolling_sum_by("date", f"{length}d"),
            )
            .filter("counts")
        )
    figures = pl.col("repositories", "days").fill_null(0).cast(pl.Int64)
    return pl.concat([part.select("window", "first", "last", figures) for part in parts])
