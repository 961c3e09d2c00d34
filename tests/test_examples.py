"""The examples in docstrings run, beside an archive and what was counted of it."""

import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import daskbinder as db
from support import structure

MODULES = [name for name in structure.modules() if "__" not in name]


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        if ">>> " in (structure.PACKAGE / f"{name.replace('.', '/')}.py").read_text("utf-8"):
            found = finder.find(import_module(f"daskbinder.{name}"), f"daskbinder.{name}")
            yield from (test for test in found if test.examples)


EXAMPLES = {test.name: test for test in examples()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_happens(
    name: str, sampled: Path, counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive").symlink_to(sampled)
    (tmp_path / "rollups").symlink_to(counted)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(EXAMPLES[name], out=said.append)
    assert tried
    assert not failed, "".join(said)


def test_what_is_promised_to_users_has_an_example() -> None:
    """Of what is called, not of what it gives back."""
    called = ["Archive", "Federation", "check", "open", "plan", "run", "sync", "write_sample"]
    homes = {name: getattr(db, name) for name in called}
    for home in homes.values():
        assert f"{home.__module__}.{home.__name__}" in EXAMPLES
