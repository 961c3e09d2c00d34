"""Answers to common questions about the archive, as pandas DataFrames: one function per question.

All take a finished data set, as returned by `daskbinder.open`, and read nothing else. Launches are
not people; names of repositories, organisations, refs and origins are text that anyone can choose.
"""

from daskbinder.answers.frames import (
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
from daskbinder.answers.rank import Repository
from daskbinder.answers.select import Launches

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
