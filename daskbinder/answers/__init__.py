"""Answers to what people ask of the archive, as pandas DataFrames: a function a question.

All take a finished data set, as `daskbinder.open` gives it, and read nothing else. Launches are
launches, not people; names of repositories, organisations, refs and origins are text that
strangers chose.
"""

from daskbinder.answers.frames import (
    Launches,
    Repository,
    active,
    completeness,
    daily,
    launches,
    members,
    new,
    repositories,
    repository,
    scripts,
    top,
)

__all__ = [
    "Launches",
    "Repository",
    "active",
    "completeness",
    "daily",
    "launches",
    "members",
    "new",
    "repositories",
    "repository",
    "scripts",
    "top",
]
