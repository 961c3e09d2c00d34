"""A published tree is the same for the same data, changes where launches were, and is safe."""

import json
import string
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from distributed import Client
from hypothesis import example, given
from hypothesis import strategies as st

import daskbinder as db
from conftest import MakeLaunch
from daskbinder import answers
from daskbinder.answers.export import badge
from daskbinder.answers.subjects import safe_name
from daskbinder.cli import main
from support.commands import invoke

FIRST = date(2021, 1, 30)
HOSTILE = "../../../etc/passwd"
SPECS = {
    ("GitHub", "Owner/Name/main"): 9,
    ("GitHub", "owner/name/main"): 4,
    ("GitHub", "con/aux.json/main"): 3,
    ("GitHub", "owner/.github/main"): 2,
    ("GitLab", "a%2Fb%2Fc/main"): 3,
    ("GitLab", "a%2Fb.json/main"): 2,
    ("Git", "https%3A%2F%2Fexample.org%2F..%2F..%2FX/main"): 2,
    ("Git", "https%3A%2F%2Fexample.org%2F..%2F..%2Fx/main"): 3,
    ("Git", f"https%3A%2F%2Fexample.org%2F{'x' * 300}/main"): 2,
    ("GitHub", f"{HOSTILE}/x"): 5,
    ("Zenodo", "10.5281/zenodo.1"): 1,
}
MORE = "GitHub", "other/thing/main"
export = partial(invoke, "export")


def write(folder: Path, launch: MakeLaunch, days: int, specs: dict[Any, int]) -> None:
    folder.mkdir(exist_ok=True)
    for day in (FIRST + timedelta(days=i) for i in range(days)):
        lines = [
            json.dumps(launch(f"{day}T{hour:02}:00:00+00:00", provider=provider, spec=spec))
            for (provider, spec), often in specs.items()
            for hour in range(often)
        ]
        (folder / f"events-{day}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def dest(launch: MakeLaunch, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write(folder / "archive", launch, 3, SPECS)
    db.run(db.plan(db.Archive(folder / "archive"), folder / "dest"), client)
    return folder / "dest"


def tree(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_the_tree_says_what_the_answers_say(dest: Path, tmp_path: Path) -> None:
    out, rollups = tmp_path / "out", db.open(str(dest))
    export(dest, out, "--least", 5)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    files = tree(out)
    totals = json.loads(files["totals.json"])
    assert totals["launches"] == 3 * sum(SPECS.values()) == sum(totals["by_month"].values())
    assert totals["by_provider"] == dict(
        answers.top(rollups, "provider")[["provider", "n"]].itertuples(index=False)
    )
    members = json.loads(files["members.json"])
    assert sum(member["launches"] for member in members.values()) == totals["launches"]

    one = json.loads(files["repos/github/owner/name.json"])
    found = answers.repository(rollups, "owner/name")
    assert (one["repository"], one["launches"]) == (found.name, found.total) == ("Owner/Name", 39)
    assert one["by_month"] == {"2021-01": 26, "2021-02": 13}
    assert one["by_member"] == dict(found.by_member[["member", "n"]].itertuples(index=False))
    assert (one["first_seen"], one["last_seen"]) == ("2021-01-30", "2021-02-01")
    org = json.loads(files["orgs/github/owner.json"])
    assert (org["launches"], org["repositories"]) == (45, 2)
    assert sum(org["by_month"].values()) == sum(org["by_member"].values()) == 45
    assert json.loads(files["badges/repos/github/owner/name.json"]) == badge(39)
    assert json.loads(files["badges/orgs/github/owner.json"])["message"] == "45"

    index = json.loads(files["index.json"])
    listed = [*index["repositories"], *index["organisations"]]
    paths = {path for *_, path in listed}
    pages = {f"{path.removesuffix('.json')}.html" for path in paths}
    assert paths | {f"badges/{path}" for path in paths} | pages == {
        name for name in files if name.count("/") > 1
    }
    assert one["by_ref"] == dict(found.by_ref[["ref", "n"]].head(10).itertuples(index=False))
    known = answers.repositories(rollups)
    wanted = known[(known["n"] >= 5) & known["org"].notna()]
    assert sorted(row[1] for row in index["repositories"]) == sorted(wanted["repository"])
    assert not any(HOSTILE in row[1] for row in index["repositories"])


def test_names_are_files_of_their_own_anywhere(dest: Path, tmp_path: Path) -> None:
    export(dest, tmp_path / "out", "--least", 1)
    names = list(tree(tmp_path / "out"))
    assert len({name.lower() for name in names}) == len(names)
    assert set("".join(names)) <= set(string.ascii_lowercase + string.digits + "_-.~/")
    for name in names:
        for part in name.split("/"):
            assert 0 < len(part) <= 255
            assert part.strip(".") == part
            assert part.split(".")[0] not in ("con", "aux", "nul", "prn")
    assert "repos/github/~63on/~61ux.json.json" in names
    assert "repos/gitlab/a/b~2fc.json" in names
    assert "repos/gitlab/a/b.json.json" in names
    assert "repos/github/owner/~2egithub.json" in names


def test_a_second_export_writes_nothing(dest: Path, tmp_path: Path) -> None:
    export(dest, tmp_path / "out", "--least", 1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert ", 0 written, 0 removed" in export(dest, tmp_path / "out", "--least", 1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    export(dest, tmp_path / "again", "--least", 1)
    assert tree(tmp_path / "again") == tree(tmp_path / "out")


def test_what_somebody_changed_is_written_anew(dest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(dest, out, "--least", 1)
    before = tree(out)
    names = [name for name in before if name.startswith("badges/repos/")][:5]
    (out / names[0]).write_bytes(before[names[0]].swapcase())
    (out / names[1]).write_bytes(before[names[1]] + b"\n")
    (out / names[2]).write_bytes(before[names[2]][:-1])
    (out / names[3]).write_bytes(b"")
    (out / names[4]).unlink()
    assert ", 5 written, 0 removed" in export(dest, out, "--least", 1)
    assert tree(out) == before


def test_a_new_day_changes_only_what_was_launched(
    launch: MakeLaunch, client: Client, tmp_path: Path
) -> None:
    archive, dest, out = tmp_path / "archive", tmp_path / "dest", tmp_path / "out"
    write(archive, launch, 2, SPECS)
    db.run(db.plan(db.Archive(archive), dest), client)
    export(dest, out, "--least", 1)
    before = tree(out)
    day = FIRST + timedelta(days=2)
    events = [launch(f"{day}T01:00:00+00:00", provider=MORE[0], spec=MORE[1])]
    (archive / f"events-{day}.jsonl").write_text(json.dumps(events[0]) + "\n")
    db.run(db.plan(db.Archive(archive), dest), client)
    export(dest, out, "--least", 1)
    after = tree(out)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {
        *("index.json", "index.html", "totals.json", "members.json", "badges/totals.json"),
        *("repos/github/other/thing.html", "orgs/github/other.html"),
        *(f"{top}repos/github/other/thing.json" for top in ("", "badges/")),
        *(f"{top}orgs/github/other.json" for top in ("", "badges/")),
    }
    assert before.keys() <= after.keys()


def test_what_is_no_longer_wanted_goes_and_nothing_else(dest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(dest, out, "--least", 1)
    (out / "CNAME").write_text("badges.example.org")
    (tmp_path / "precious.json").write_text("{}")
    index = json.loads((out / "index.json").read_text())
    index["repositories"] += [["GitHub", "x", 1, "../precious.json"], ["GitHub", "y", 1, "CNAME"]]
    (out / "index.json").write_text(json.dumps(index))
    export(dest, out, "--least", 30)
    export(dest, tmp_path / "new", "--least", 30)
    assert tree(out) == tree(tmp_path / "new") | {"CNAME": b"badges.example.org"}
    assert (tmp_path / "precious.json").exists()


def test_a_bucket_is_as_good_as_a_folder(dest: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    try:
        export(dest, "memory://site", "--least", 5)
        export(dest, tmp_path / "out", "--least", 5)
        found = {name.removeprefix("/site/"): memory.cat(name) for name in memory.find("/site")}
        assert found == tree(tmp_path / "out")
    finally:
        memory.rm("/site", recursive=True)


def test_the_data_set_is_no_place_for_the_site(dest: Path) -> None:
    ended = CliRunner().invoke(main, ["export", str(dest), str(dest)])
    assert ended.exit_code == 2
    assert "give another folder for the site" in ended.output


@given(st.text(), st.text())
@example("con", "~63on")
@example("x" * 200, "x" * 150)
@example(".a", "~2ea")
@example("A", "a")
def test_no_two_texts_share_a_name(one: str, other: str) -> None:
    names = [safe_name(text) for text in (one, other)]
    assert (names[0].lower() == names[1].lower()) == (one == other)
    for name in names:
        assert "/" not in name
        assert name not in (".", "..")
        assert len(name) < 240


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1999, "1.9k"),
        (12_345, "12k"),
        (999_999, "999k"),
        (4_486_873, "4.4M"),
        (26_033_365, "26M"),
        (1_000_000_000, "1G"),
    ],
)
def test_a_badge_promises_no_more_than_there_were(n: int, message: str) -> None:
    assert badge(n)["message"] == message


def test_a_data_set_in_which_nobody_is_known_is_published(dest: Path, tmp_path: Path) -> None:
    export(dest, tmp_path / "out", "--least", 1_000_000)
    totals = json.loads((tmp_path / "out" / "totals.json").read_text())
    assert totals["launches"] == 3 * sum(SPECS.values())
    assert not list((tmp_path / "out").glob("repos/*/*"))
