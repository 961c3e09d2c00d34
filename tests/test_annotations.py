"""Annotations: the packaged table, its links, which days each is about."""

from datetime import date
from pathlib import Path

import pytest

from daskbinder.errors import InputError
from daskbinder.model.annotations import annotations


def test_the_packaged_table_is_in_order_of_time() -> None:
    found = annotations()
    days = [note.first or note.last for note in found]
    assert days == sorted(days)
    (lost,) = (note for note in found if "lost" in note.what)
    assert (lost.first, lost.last, lost.member) == (date(2022, 10, 20), date(2022, 11, 23), "gke")
    assert lost.links["#2394"] == "https://github.com/jupyterhub/mybinder.org-deploy/issues/2394"


def test_only_days_on_which_all_launches_are_known_to_be_lost_are_gaps() -> None:
    """An open beginning would blank years that are known."""
    assert {(note.member, note.when) for note in annotations() if note.lost} == {
        ("turing", "2020-01-15 to 2020-02-06"),
        ("gke", "2022-10-20 to 2022-11-23"),
    }


def test_a_source_of_another_repository_links_there() -> None:
    links = {name: link for note in annotations() for name, link in note.links.items()}
    assert (
        links["jupyterhub/binderhub#2107"] == "https://github.com/jupyterhub/binderhub/issues/2107"
    )


@pytest.mark.parametrize(
    ("first", "last", "members", "touched"),
    [
        ("2022-11-23", "2023-01-01", None, True),
        ("2022-11-24", "2023-01-01", None, False),
        ("2022-01-01", "2022-10-20", {"gke", "ovh"}, True),
        ("2022-10-25", "2022-10-25", {"ovh"}, False),
    ],
)
def test_days_and_members_it_is_about(
    first: str, last: str, members: set[str] | None, touched: bool
) -> None:
    (lost,) = (note for note in annotations() if "lost" in note.what)
    assert lost.when == "2022-10-20 to 2022-11-23"
    assert lost.touches(date.fromisoformat(first), date.fromisoformat(last), members) is touched


@pytest.mark.parametrize(
    "text",
    [
        "no = 'list'",
        "annotation = [1]",
        "[[annotation]]\nfrom = 2020-01-01",
        "[[annotation]]\nwhat = 'x'",
        "[[annotation]]\nwhat = 'x'\nfrom = '2020-01-01'",
        "[[annotation]]\nwhat = 'x'\nfrom = 2020-01-02\nto = 2020-01-01",
        "[[annotation]]\nwhat = 'x'\nfrom = 2020-01-02\nform = 2020-01-01",
        "[[annotation]]\nwhat = 'x'\nto = 2020-01-01\nlost = true",
        "[[annotation]]\nwhat = 'x'\nfrom = 2020-01-01\nto = 2020-01-01\nlost = 'all'",
        "not toml",
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.toml"
    path.write_text(text)
    with pytest.raises(
        InputError, match=r"^the annotations .*notes\.toml (cannot be used|is not TOML): "
    ):
        annotations(path)
