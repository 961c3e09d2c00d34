import json
import re
from collections import Counter
from datetime import date, datetime

import pytest

from daskbinder.archive.sample import write_sample

STEMS = re.compile(r"events-(\d{4}-\d{2}-\d{2})\.jsonl")
FIELDS = ("timestamp", "schema", "version", "provider", "spec", "status")
ADDED = {3: "origin", 4: "ref", 5: "build_token", 6: "request_origin"}


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("events-*"))}


def events(folder):
    return [json.loads(line) for body in files(folder).values() for line in body.splitlines()]


@pytest.fixture(scope="module")
def fortnight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fortnight")
    return folder, write_sample(folder, days=14, start=date(2021, 10, 4), events_per_day=20_600)


@pytest.fixture(scope="module")
def launches(fortnight):
    return events(fortnight[0])


def test_same_seed_same_bytes(tmp_path):
    options = {"days": 9, "events_per_day": 300, "flaws": True}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_sample(tmp_path / name, seed=seed, **options)
    same = [path.name for path in (tmp_path / "a").iterdir()]
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in same)
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_longer_archive_begins_with_the_shorter_one(tmp_path):
    write_sample(tmp_path / "short", days=9, events_per_day=300)
    write_sample(tmp_path / "long", days=20, events_per_day=300)
    long = files(tmp_path / "long")
    assert list(long.items())[:8] == list(files(tmp_path / "short").items())


def test_a_day_does_not_depend_on_where_the_archive_starts(tmp_path):
    write_sample(tmp_path / "a", days=3, start=date(2021, 3, 1), events_per_day=300)
    write_sample(tmp_path / "b", days=1, start=date(2021, 3, 3), events_per_day=300)
    assert files(tmp_path / "b").items() <= files(tmp_path / "a").items()


def test_lines_have_the_real_form_and_are_sorted(fortnight):
    folder, written = fortnight
    total = 0
    for name, body in files(folder).items():
        assert body.endswith(b"\n")
        lines = body.splitlines()
        total += len(lines)
        parsed = [json.loads(line) for line in lines]
        assert [json.dumps(event).encode() for event in parsed] == lines
        stamps = [event["timestamp"] for event in parsed]
        assert stamps == sorted(stamps)
        day = STEMS.fullmatch(name)[1]
        for stamp in set(stamps):
            assert datetime.fromisoformat(stamp).isoformat() == stamp
            assert stamp.startswith(day)
            assert stamp.endswith(":00+00:00")
    assert total == written


@pytest.mark.parametrize(
    ("day", "version"),
    [
        ("2018-12-03", 1),
        ("2019-05-01", 2),
        ("2020-01-07", 3),
        ("2021-01-07", 4),
        ("2022-01-07", 5),
        ("2026-04-01", 6),
    ],
)
def test_each_version_has_its_fields(tmp_path, day, version):
    write_sample(tmp_path, days=1, start=date.fromisoformat(day), events_per_day=500)
    added = tuple(field for since, field in ADDED.items() if since <= version)
    found = events(tmp_path)
    assert {(event["version"], tuple(event)) for event in found} == {(version, FIELDS + added)}
    assert all(re.fullmatch("[0-9a-f]{40}", event.get("ref", "0" * 40)) for event in found)


def test_versions_mix_on_the_days_of_an_upgrade(tmp_path):
    write_sample(tmp_path, days=3, start=date(2021, 7, 2), events_per_day=20_000)
    first, second, third = (
        {(event["origin"], event["version"]) for event in map(json.loads, body.splitlines())}
        for body in files(tmp_path).values()
    )
    assert {("gke.mybinder.org", 4), ("gke.mybinder.org", 5), ("gesis.mybinder.org", 4)} <= first
    assert ("gesis.mybinder.org", 5) not in first
    assert {("gke.mybinder.org", 5), ("gesis.mybinder.org", 4), ("gesis.mybinder.org", 5)} <= second
    assert ("gke.mybinder.org", 4) not in second
    assert {version for _, version in third} == {5}


def test_weekends_are_quieter(launches):
    counts = Counter(event["timestamp"][:10] for event in launches)
    weekend = [n for day, n in counts.items() if date.fromisoformat(day).weekday() >= 5]
    week = [n for day, n in counts.items() if date.fromisoformat(day).weekday() < 5]
    assert 0.5 < (sum(weekend) / len(weekend)) / (sum(week) / len(week)) < 0.65


def test_shares_are_those_of_the_real_archive(launches):
    share = {
        field: {key: n / len(launches) for key, n in Counter(e[field] for e in launches).items()}
        for field in ("provider", "status", "origin")
    }
    assert share["provider"]["GitHub"] == pytest.approx(0.97, abs=0.003)
    assert share["provider"]["Gist"] == pytest.approx(0.015, abs=0.002)
    assert share["provider"]["Git"] == pytest.approx(0.011, abs=0.002)
    assert share["provider"]["GitLab"] == pytest.approx(0.004, abs=0.001)
    assert share["status"]["success"] == pytest.approx(0.93, abs=0.025)
    assert share["origin"]["gke.mybinder.org"] == pytest.approx(0.75, abs=0.1)
    assert len(launches) / 13 == pytest.approx(20_600, rel=0.2)


def test_lines_repeat_as_much_as_real_ones(fortnight):
    rows = lines = distinct = 0
    for body in files(fortnight[0]).values():
        tails = [line[41:] for line in body.splitlines()]
        lines += len(tails)
        distinct += len(set(tails))
        rows += len({re.sub(rb', "ref": "\w+"', b"", tail) for tail in set(tails)})
    assert 0.07 < distinct / lines < 0.10
    assert 1_400 < rows / 13 < 1_900


def test_fewer_repositories_make_more_lines_alike(tmp_path):
    options = {"days": 3, "start": date(2019, 3, 4), "events_per_day": 16_200}
    shares, specs = [], []
    for repositories in (1_000, 40_000):
        folder = tmp_path / str(repositories)
        write_sample(folder, repositories=repositories, **options)
        tails = [line[41:] for body in files(folder).values() for line in body.splitlines()]
        shares.append(len(set(tails)) / len(tails))
        specs.append(len({event["spec"] for event in events(folder)}))
    assert shares[0] < 0.8 * shares[1]
    assert specs[0] < 1_050 < specs[1]


def test_one_repository_is_enough(tmp_path):
    write_sample(tmp_path, days=2, events_per_day=50, repositories=1)
    assert len({event["spec"] for event in events(tmp_path)}) == 1


def test_index_names_all_files_but_the_last(fortnight):
    folder, _ = fortnight
    index = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    bodies = files(folder)
    assert [entry["name"] for entry in index] == list(bodies)[:-1]
    for entry in index:
        assert entry["name"] == f"events-{entry['date']}.jsonl"
        assert int(entry["count"]) == bodies[entry["name"]].count(b"\n")
    assert {type(entry["count"]) for entry in index} == {int, str}


@pytest.mark.parametrize(("days", "present"), [(7, 7), (8, 7), (30, 29), (380, 377)])
def test_longer_archives_lack_a_few_days(tmp_path, days, present):
    write_sample(tmp_path, days=days, events_per_day=1)
    assert len(files(tmp_path)) == present


def test_gke_is_silent_during_its_outage(tmp_path):
    write_sample(tmp_path, days=3, start=date(2022, 10, 19), events_per_day=2000)
    by_day = [
        Counter(json.loads(line)["origin"] for line in body.splitlines())
        for body in files(tmp_path).values()
    ]
    assert [counts["gke.mybinder.org"] > 0 for counts in by_day] == [True, False, False]
    assert by_day[1]["ovh.mybinder.org"] > 0


def test_flaws_are_added_to_the_same_launches(tmp_path):
    options = {"days": 8, "events_per_day": 300}
    clean = write_sample(tmp_path / "clean", **options)
    assert write_sample(tmp_path / "flawed", flaws=True, **options) == clean
    flawed = files(tmp_path / "flawed")
    changed = [name for name, body in files(tmp_path / "clean").items() if body != flawed[name]]
    assert changed == ["events-2021-02-22.jsonl", "events-2021-03-01.jsonl"]
    before = set(files(tmp_path / "clean")[changed[0]].splitlines())
    extra = [line for line in flawed[changed[0]].splitlines() if line not in before]
    assert before <= set(flawed[changed[0]].splitlines())
    for sign in (b"\xff\xfe", b"org/build", b'"version": 99', b":61+00:00", b"2021-02-19T"):
        assert any(sign in line for line in extra)
    assert any(not line.endswith(b"}") for line in extra)


def test_folder_with_day_files_is_refused(tmp_path):
    (tmp_path / "events-2020-01-01.jsonl.gz").touch()
    with pytest.raises(ValueError, match="already holds day files; name a new or an empty folder"):
        write_sample(tmp_path, days=1)


def test_nothing_but_the_archive_is_left(tmp_path):
    write_sample(tmp_path / "new" / "folder", days=2, events_per_day=50)
    names = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert names == {"events-2021-02-22.jsonl", "events-2021-02-23.jsonl", "index.jsonl"}


@pytest.mark.parametrize("options", [{"days": 0}, {"events_per_day": 0}, {"repositories": 0}])
def test_an_empty_sample_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match="at least one day, one event a day and one repository"):
        write_sample(tmp_path, **options)


def test_progress_tells_days_and_launches(tmp_path):
    calls = []
    launches = write_sample(
        tmp_path, days=3, events_per_day=50, progress=lambda *call: calls.append(call)
    )
    assert [done for done, _ in calls] == [1, 2, 3]
    assert calls[-1] == (3, launches)
