"""The oracle against literal answers: it may not be wrong in the same way as the package."""

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import MakeArchive, MakeLaunch
from support.oracle import (
    Interval,
    Launch,
    Reject,
    days_of,
    host_of,
    judge,
    label,
    member_of,
    read_archive,
    sort_rows,
)

DAY = date(2021, 3, 4)
HOSTS = """
host = [
  {host = "gke.mybinder.org", member = "gke", from = 2018-11-03, to = 2021-03-06, source = ""},
  {host = "ovh.mybinder.org", member = "ovh", from = 2019-06-06, to = 2021-03-01, source = ""},
  {host = "ovh.mybinder.org", member = "ovh2", from = 2021-03-07, source = ""},
]
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def encoded(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


@pytest.fixture
def federation(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text(HOSTS)
    return path


@pytest.mark.parametrize("line", [b"", b" \t\r", b"\r", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r"])
def test_blank_lines_are_nothing(line: bytes) -> None:
    assert judge(line, DAY) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": "\xff"}', "not-utf8"),
        (b'{"a": "\xed\xa0\x80"}', "not-utf8"),
        (b"\x00", "not-json"),
        (b"\x0b", "not-json"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not-json"),
        (b'{"a": 1', "not-json"),
        (b"{} {}", "not-json"),
        (b"{'a': 1}", "not-json"),
        (b'{"a": "\t"}', "not-json"),
        (b'{"a": NaN}', "not-json"),
        (b'{"a": -Infinity}', "not-json"),
        (b'{"a": 1e999}', "other-schema"),
        (b'{"a": ' + b"9" * 400 + b"}", "other-schema"),
        (b'{"a": ' + b"9" * 5000 + b"}", "other-schema"),
        (b'{"a": "\\ud800"}', "other-schema"),
        (b'{"a": "\\udc00\\ud800"}', "other-schema"),
        (b'{"\\ud800": 1}', "other-schema"),
        (b'{"a": ["\\ud800"], "a": 1}', "other-schema"),
        (b'{"a": {"b": [["\\ud800"]]}}', "other-schema"),
        (b"[" * 1100 + b"]" * 1100, "not-an-object"),
        (b"[" * 1100 + b"NaN" + b"]" * 1100, "not-json"),
        (b"[" * 1100 + b"]" * 1099, "not-json"),
        (b'["' + b"[" * 1025 + b'"]', "not-an-object"),
        (b'["\\"' + b"[" * 1025 + b'"]', "not-an-object"),
        (b"1", "not-an-object"),
        (b"null", "not-an-object"),
        (b'"{}"', "not-an-object"),
        (b"{}", "other-schema"),
        (b'{"schema": ["binderhub.jupyter.org/launch"]}', "other-schema"),
        (b'{"schema": "binderhub.jupyter.org/launch"}', "unknown-version"),
    ],
)
def test_lines_that_are_no_launch(line: bytes, reason: str) -> None:
    assert judge(line, DAY) == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema": "binderhub.jupyter.org/Launch"}, "other-schema"),
        ({"version": True}, "unknown-version"),
        ({"version": 5.0}, "unknown-version"),
        ({"version": "5"}, "unknown-version"),
        ({"version": 0}, "unknown-version"),
        ({"version": 7}, "unknown-version"),
        ({"version": 7, "provider": 1, "timestamp": 1}, "unknown-version"),
        ({"provider": None}, "bad-field"),
        ({"spec": 1}, "bad-field"),
        ({"status": ["success"]}, "bad-field"),
        ({"origin": 1}, "bad-field"),
        ({"request_origin": False}, "bad-field"),
        ({"spec": "\ud800"}, "bad-field"),
        ({"origin": "a\udc00"}, "bad-field"),
        ({"build_token": "true"}, "bad-field"),
        ({"build_token": 1}, "bad-field"),
        ({"build_token": 1, "timestamp": "x"}, "bad-field"),
    ],
)
def test_fields_that_spoil_a_launch(
    launch: MakeLaunch, fields: dict[str, Any], reason: str
) -> None:
    assert judge(encoded(launch(**fields)), DAY) == reason


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2021-03-04T10:17", "2021-03-04T10:17"),
        ("2021-03-04t10:17z", "2021-03-04T10:17"),
        ("2021-03-04 10:17:59", "2021-03-04T10:17:59"),
        ("2021-03-04T10:17:59,5Z", "2021-03-04T10:17:59.5"),
        ("2021-03-04T10:17:59.9999999+00:00", "2021-03-04T10:17:59.999999"),
        ("2021-03-04T10:17:00+01", "2021-03-04T09:17"),
        ("2021-03-04T10:17:00-0130", "2021-03-04T11:47"),
        ("2021-03-04T00:30:00+05:45", "2021-03-03T18:45"),
        ("2021-03-05T23:59:59Z", "2021-03-05T23:59:59"),
        ("2021-03-06T00:30:00+00:31", "2021-03-05T23:59"),
        ("2021-03-03T00:00:00Z", "2021-03-03T00:00"),
    ],
)
def test_timestamps_become_utc(launch: MakeLaunch, stamp: str, utc: str) -> None:
    verdict = judge(encoded(launch(stamp)), DAY)
    assert isinstance(verdict, Launch)
    assert verdict.micros == (at(utc) - at("1970-01-01")) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ("2021-03-04", "bad-timestamp"),
        ("2021-03-04T10", "bad-timestamp"),
        ("2021-03-04T10:17:00.", "bad-timestamp"),
        ("2021-03-04T10:17.5", "bad-timestamp"),
        ("2021-03-04T24:00", "bad-timestamp"),
        ("2021-03-04T10:60", "bad-timestamp"),
        ("2021-03-04T10:17:60", "bad-timestamp"),
        ("2021-03-04T10:17+24:00", "bad-timestamp"),
        ("2021-03-04T10:17+00:60", "bad-timestamp"),
        ("2021-03-04T10:17+1", "bad-timestamp"),
        ("2021-03-04T10:17+00:", "bad-timestamp"),
        ("2021-02-29T10:17", "bad-timestamp"),
        ("2021-03-04T10:17 Z", "bad-timestamp"),
        (" 2021-03-04T10:17", "bad-timestamp"),
        ("2021-03-04T10:17Z\n", "bad-timestamp"),
        ("20210304T1017", "bad-timestamp"),
        ("2021-W09-4T10:17", "bad-timestamp"),
        ("٢٠٢١-03-04T10:17", "bad-timestamp"),
        ("2021-03-02T23:59:59.999999Z", "outside-day"),
        ("2021-03-06T00:00:00Z", "outside-day"),
        ("2021-03-05T23:30:00-01:00", "outside-day"),
        ("0001-01-01T00:00+23:59", "outside-day"),
    ],
)
def test_timestamps_that_spoil_a_launch(launch: MakeLaunch, stamp: str, reason: str) -> None:
    assert judge(encoded(launch(stamp)), DAY) == reason


def test_last_of_a_repeated_key_stands() -> None:
    line = (
        b'{"timestamp": "x", "schema": "binderhub.jupyter.org/launch", "version": 5,'
        b'"provider": "Git", "spec": {"spec": 1}, "sp\\u0065c": "b", "status": "failure",'
        b'"time\\u0073tamp": "2021-03-04T10:17:00Z", "origin": null, "new": [{"spec": "c"}]}\r'
    )
    verdict = judge(line, DAY)
    assert isinstance(verdict, Launch)
    assert verdict[1:] == (
        "binderhub.jupyter.org/launch", 5, "Git", "b", "failure", None, None, None,
    )  # fmt: skip


def test_more_versions_are_known_on_request(launch: MakeLaunch) -> None:
    assert isinstance(judge(encoded(launch(version=7)), DAY, versions=[7]), Launch)


def test_calendar() -> None:
    assert label("weekly", date(2021, 1, 3)) == "2020-W53"
    assert label("weekly", date(2018, 12, 31)) == "2019-W01"
    assert label("monthly", date(2021, 1, 3)) == "2021-01"
    assert days_of("weekly", "2020-W53")[::6] == [date(2020, 12, 28), date(2021, 1, 3)]
    assert len(days_of("monthly", "2020-02")) == 29
    assert days_of("monthly", "2021-12")[-1] == date(2021, 12, 31)


def test_hosts() -> None:
    assert host_of("OVH.mybinder.org.:443") == "ovh.mybinder.org"
    hosts = {"a.b": [Interval("old", None, date(2021, 1, 1)), Interval("new", DAY, None)]}
    assert member_of("A.b:80", date(2021, 1, 2), hosts) == "old"
    assert member_of("a.b", date(2021, 3, 3), hosts) == "new"
    assert member_of("a.c", DAY, hosts) == "a"
    assert member_of("", DAY, hosts) == "unknown"


def test_nulls_sort_last() -> None:
    rows = Counter({(1, None): 1, (1, True): 2, (1, False): 3, (0, None): 4})
    assert sort_rows(rows) == [(0, None, 4), (1, False, 3), (1, True, 2), (1, None, 1)]


def test_rejects_are_bounded(make_archive: MakeArchive, federation: Path) -> None:
    body = [b"{"] * 103 + [b"", b"[]", b"x\xff" + b"y" * 300]
    found = read_archive(make_archive({DAY: body}), federation=federation)
    name = "events-2021-03-04.jsonl"
    assert found.rejects[98:] == [
        Reject(name, 99, "not-json", "{", 1),
        Reject(name, 100, "not-json", "{", 1),
        Reject(name, 101, "not-json", "{", 3),
        Reject(name, 105, "not-an-object", "[]", 1),
        Reject(name, 106, "not-utf8", "x\\xff" + "y" * 198, 1),
    ]
    assert found.days[0][3:] == (105, 0, 105, None, 0)


def test_an_archive(make_archive: MakeArchive, launch: MakeLaunch, federation: Path) -> None:
    folder = make_archive(
        {
            DAY: [
                launch("2021-03-04T10:17:00Z", origin=None),
                launch("2021-03-04T10:59:00Z", origin="gke.mybinder.org"),
                launch("2021-03-05T00:01:00Z", origin="x.example.org"),
                b"",
                b"[]",
            ],
            "2021-03-06": [launch("2021-03-06T23:00:00Z", origin="OVH.mybinder.org:443")],
            "2021-03-08": b"",
        },
        gz=["2021-03-06"],
    )
    (folder / "index.jsonl").write_text(
        '{"name": "events-2021-03-04.jsonl", "date": "2021-03-04", "count": "5"}\n'
    )
    packed = folder / "events-2021-03-06.jsonl.gz"
    assert gzip.decompress(packed.read_bytes()).startswith(b"{")

    found = read_archive(folder, federation=federation)
    assert (found.lines, found.accepted, found.rejected) == (5, 4, 1)
    assert found.reasons == {"not-an-object": 1}
    size = (folder / "events-2021-03-04.jsonl").stat().st_size
    assert found.days == [
        (DAY, "events-2021-03-04.jsonl", size, 4, 3, 1, 5, 1),
        (date(2021, 3, 6), packed.name, packed.stat().st_size, 1, 1, 0, None, 1),
        (date(2021, 3, 8), "events-2021-03-08.jsonl", 0, 0, 0, 0, None, 0),
    ]
    assert found.missing == [date(2021, 3, 5), date(2021, 3, 7)]
    assert found.labels("daily") == ["2021-03-04", "2021-03-05", "2021-03-06", "2021-03-08"]
    assert found.labels("weekly") == ["2021-W09", "2021-W10"]
    assert found.incomplete()["daily", "2021-03-05"] == [date(2021, 3, 5)]
    assert ("daily", "2021-03-06") not in found.incomplete()
    assert len(found.incomplete()["monthly", "2021-03"]) == 28

    key = ("binderhub.jupyter.org/launch", 5, "GitHub", "ipython/ipython-in-depth/master")
    gke = (*key, "success", "gke.mybinder.org", False, None)
    assert found.rollup("daily", "hour", "2021-03-04") == [(at("2021-03-04T10:00"), *gke, 2)]
    assert found.rollup("weekly", "day", "2021-W09")[:2] == [
        (at("2021-03-04"), *gke, 2),
        (at("2021-03-05"), *key, "success", "x.example.org", False, None, 1),
    ]
    assert found.rollup("daily", "day", "2021-03-08") == []

    assert found.federation_by_day() == [
        (at("2021-03-04"), "gke", 2, 2.0),
        (at("2021-03-05"), "x", 1, 0.0),
        (at("2021-03-06"), "gke", 0, 1.0),
        (at("2021-03-06"), "ovh2", 1, 0.5),
        (at("2021-03-08"), "ovh2", 0, 1 / 3),
    ]
    hours = found.federation_by_hour()
    assert len(hours) == 24 * 4 + 1
    assert [row for row in hours if row[2]] == [
        (at("2021-03-04T10:00"), "gke", 2),
        (at("2021-03-05T00:00"), "x", 1),
        (at("2021-03-06T23:00"), "ovh2", 1),
    ]
