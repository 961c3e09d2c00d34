"""An origin and a date lead to a member, whatever a stranger wrote; facts are well-formed data."""

import pickle
import re
import string
import tomllib
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskbinder.errors import InputError
from daskbinder.model.federation import Federation, Interval, host_of

FEDERATION = Federation.load()

hosts = st.sampled_from(sorted({interval.host for interval in FEDERATION.intervals}))
WriteTable = Callable[[str | bytes], Path]


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "hosts.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("origin", "day", "member"),
    [
        # before, first, last, gap, first and last of the later cluster, after
        ("ovh.mybinder.org", date(2018, 11, 3), "ovh"),
        ("ovh.mybinder.org", date(2019, 6, 6), "ovh"),
        ("ovh.mybinder.org", date(2023, 2, 8), "ovh"),
        ("ovh.mybinder.org", date(2023, 2, 14), "ovh"),
        ("ovh.mybinder.org", date(2023, 2, 15), "ovh2"),
        ("ovh.mybinder.org", date(2023, 2, 21), "ovh2"),
        ("ovh.mybinder.org", date(2026, 1, 1), "ovh2"),
        ("gesis.mybinder.org", date(2018, 11, 3), "gesis"),
        ("gesis.mybinder.org", date(2020, 3, 1), "gesis"),
        ("gesis.mybinder.org", date(2024, 4, 9), "gesis"),
        ("gesis.mybinder.org", date(2024, 4, 11), "hetzner-gesis"),
        ("gesis.mybinder.org", date(2025, 4, 13), "hetzner-gesis"),
        ("gesis.mybinder.org", date(2025, 4, 14), "hetzner-gesis"),
        ("gesis.mybinder.org", date.max, "hetzner-gesis"),
        ("notebooks.gesis.org", date(2025, 4, 14), "gesis"),
        ("notebooks-test.gesis.org", date(2021, 3, 4), "gesis"),
        ("mybinder.org", date(2018, 11, 3), "gke"),
        ("gke.mybinder.org", date(2018, 11, 3), "gke"),
        ("gke.mybinder.org:443", date(2019, 7, 1), "gke"),
        ("2i2c.mybinder.org", date(2025, 2, 1), "hetzner-2i2c"),
        ("2i2c-bare.mybinder.org", date(2025, 2, 1), "hetzner-2i2c-bare"),
        ("bids.mybinder.org", date(2026, 1, 1), "bids-ovh"),
        ("staging.mybinder.org", date(2021, 3, 4), "staging"),
    ],
)
def test_the_packaged_table(origin: str, day: date, member: str) -> None:
    assert FEDERATION.member(origin, day) == member
    assert FEDERATION.knows(origin)


@pytest.mark.parametrize(
    ("member", "first", "last"),
    [
        ("gke", date(2018, 11, 3), date(2023, 4, 28)),
        ("ovh", date(2019, 6, 6), date(2023, 2, 8)),
        ("gesis", date(2019, 9, 8), date(2025, 4, 14)),
        ("hetzner-gesis", date(2025, 4, 14), None),
    ],
)
def test_spans_of_members(member: str, first: date, last: date | None) -> None:
    assert member in FEDERATION.members
    assert FEDERATION.span(member) == (first, last)
    assert (FEDERATION.begins(member), FEDERATION.ends(member)) == (first, last)


@pytest.mark.parametrize("member", ["staging", "nobody", ""])
def test_members_without_dates_have_no_span(member: str) -> None:
    assert FEDERATION.span(member) is None
    assert FEDERATION.ends(member) is None


def test_a_host_may_be_handed_on_from_one_day_to_the_next() -> None:
    days = date(2021, 3, 4), date(2021, 3, 5)
    first, second = (Interval("a", name, day, day) for name, day in zip("bc", days, strict=True))
    table = Federation((first, second))
    assert [table.member("a", date(2021, 3, day)) for day in (3, 4, 5, 6)] == ["b", "b", "c", "c"]
    assert [first.distance(date(2021, 3, day)) for day in (2, 4, 5)] == [2, 0, 1]
    assert Interval("a", "b").distance(date(2021, 3, 4)) == 0


def test_a_span_covers_all_hosts_of_a_member() -> None:
    table = Federation(
        (
            Interval("a", "one", date(2020, 1, 1), date(2020, 2, 1)),
            Interval("b", "one", date(2019, 1, 1), date(2019, 2, 1)),
            Interval("c", "one"),
            Interval("d", "two", date(2020, 1, 1)),
            Interval("e", "two", date(2019, 1, 1), date(2019, 2, 1)),
            Interval("f", "three", None, date(2019, 2, 1)),
        )
    )
    assert table.members == ("one", "three", "two")
    assert table.span("one") == (date(2019, 1, 1), date(2020, 2, 1))
    assert table.span("two") == (date(2019, 1, 1), None)
    assert table.span("three") is None
    assert (table.begins("three"), table.ends("three")) == (None, date(2019, 2, 1))


def test_of_two_intervals_as_near_the_earlier_stands() -> None:
    earlier = Interval("a", "earlier", None, date(2020, 1, 1))
    later = Interval("a", "later", date(2020, 1, 5))
    for table in Federation((earlier, later)), Federation((later, earlier)):
        assert table.member("a", date.min) == "earlier"
        assert table.member("a", date(2020, 1, 3)) == "earlier"
        assert table.member("a", date(2020, 1, 4)) == "later"
        assert table.member("a", date.max) == "later"


@given(hosts, st.dates())
def test_the_nearest_interval_stands(host: str, day: date) -> None:
    def distance(known: Interval) -> int:
        before = (known.first - day).days if known.first else 0
        after = (day - known.last).days if known.last else 0
        return max(before, after, 0)

    mine = [known for known in FEDERATION.intervals if known.host == host]
    nearest = min(map(distance, mine))
    stands = FEDERATION.member(host, day)
    assert stands in {known.member for known in mine if distance(known) == nearest}


@given(hosts, st.dates(), st.data())
def test_port_case_and_last_dot_do_not_matter(host: str, day: date, data: st.DataObject) -> None:
    cased = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in host)
    dot = data.draw(st.sampled_from(["", "."]))
    port = data.draw(st.just("") | st.text(string.digits).map(":{}".format))
    assert host_of(cased + dot + port) == host
    assert FEDERATION.member(cased + dot + port, day) == FEDERATION.member(host, day)


@pytest.mark.parametrize(
    ("origin", "host", "member"),
    [
        ("", "", "unknown"),
        (":", "", "unknown"),
        (":8585", "", "unknown"),
        (".", "", "unknown"),
        (".org", ".org", "unknown"),
        ("Hub.Example.ORG.:8080", "hub.example.org", "hub"),
        ("localhost:8585", "localhost", "localhost"),
        ("192.168.0.1:8585", "192.168.0.1", "192.168.0.1"),
        ("[::1]:8585", "[::1]", "[::1]"),
        ("[::1]", "[::1]", "[::1]"),
        ("[2001:DB8::7]:", "[2001:db8::7]", "[2001:db8::7]"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::7"),
        ("a:b", "a:b", "a:b"),
        ("a:X8", "a:x8", "a:x8"),
        ("a:80\n", "a:80\n", "a:80\n"),
        ("a:٣", "a:٣", "a:٣"),
        ("\x00\n.x", "\x00\n.x", "\x00\n"),
        ("日本.example", "日本.example", "日本"),
        pytest.param("x" * 10_000, "x" * 10_000, "x" * 63, id="long"),
        pytest.param("9." * 5_000, "9." * 4_999 + "9", "9", id="dots"),
    ],
)
def test_strangers(origin: str, host: str, member: str) -> None:
    assert host_of(origin) == host
    assert FEDERATION.member(origin, date(2021, 3, 4)) == member
    assert not FEDERATION.knows(origin)


@given(st.text() | st.text(":.[]%0123456789abcdef\n"), st.dates())
@example(":" * 10_000, date.min)
@example("\ud800", date.max)
def test_any_origin_has_a_short_member(origin: str, day: date) -> None:
    assert 0 < len(FEDERATION.member(origin, day)) <= 63


def test_the_label_of_a_stranger_may_be_a_member_but_is_not_known() -> None:
    assert FEDERATION.member("gke.example.org", date(2021, 3, 4)) == "gke"
    assert not FEDERATION.knows("gke.example.org")


def test_a_table_of_ones_own(write_table: WriteTable) -> None:
    path = write_table(
        "\N{BYTE ORDER MARK}[[host]]\r\n"
        'host = "Hub.Example.ORG:443"\r\nmember = "ours"\r\nfrom = 2021-03-04\r\n'
        'source = "we run it"\r\n'
    )
    table = Federation.load(path)
    assert table == Federation.load(str(path))
    wanted = Interval("hub.example.org", "ours", date(2021, 3, 4), source="we run it")
    assert table.intervals == (wanted,)
    assert table.member("hub.example.org", date(2020, 1, 1)) == "ours"
    assert not table.knows("gke.mybinder.org")
    assert Federation.load(write_table(HOST)).intervals == (Interval("a", "m"),)


HOST = '[[host]]\nhost = "a"\nmember = "m"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("host = [", "is not TOML: Invalid value"),
        pytest.param("x = " + "[" * 100_000, "is not TOML", id="deep"),
        (b"\xff", "is not TOML: 'utf-8' codec"),
        ("", "used: Object missing required field `host`$"),
        ("[[hosts]]", "unknown field `hosts`"),
        ("title = 1\n" + HOST, "unknown field `title`"),
        ("[host]\na = 1", r"Expected `array`, got `object` - at `\$\.host`"),
        ("host = [1]", r"Expected `object`, got `int` - at `\$\.host\[0\]`"),
        (HOST + "[[host]]\nmember = 'm'", r"field `host` - at `\$\.host\[1\]`"),
        ("[[host]]\nhost = ':80'\nmember = 'm'", r"'host' is missing - at `\$\.host\[0\]`"),
        ("[[host]]\nhost = 'a'", r"field `member` - at `\$\.host\[0\]`"),
        ("[[host]]\nhost = 'a'\nmember = ' '", r"'member' is missing - at `\$\.host\[0\]`"),
        ("[[host]]\nhost = 1", r"Expected `str`, got `int` - at `\$\.host\[0\]\.host`"),
        (HOST + "form = 2021-03-04", r"unknown field `form` - at `\$\.host\[0\]`"),
        (HOST + "from = '2021-03-04'", r"Expected `date.*`, got `str` - at `\$\.host\[0\]\.from`"),
        (HOST + "to = 2021-03-04T00:00:00", r"got `datetime` - at `\$\.host\[0\]\.to`"),
        (
            HOST + "from = 2021-03-05\nto = 2021-03-04",
            r"'from' 2021-03-05 is after 'to' 2021-03-04 - at `\$\.host\[0\]`",
        ),
        (
            HOST + "to = 2021-03-05\n" + HOST.replace('"a"', '"A:80"') + "from = 2021-03-05",
            "the intervals of 'a' for 'm' and 'm' overlap on 2021-03-05",
        ),
        (HOST + HOST, "the intervals of 'a' for 'm' and 'm' overlap"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(
    write_table: WriteTable, content: str | bytes, message: str
) -> None:
    path = write_table(content)
    with pytest.raises(InputError, match=f"{re.escape(str(path))} .*{message}") as caught:
        Federation.load(path)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"cannot read the federation table .*hosts\.toml: No such"
    ):
        Federation.load(tmp_path / "hosts.toml")


def test_the_fingerprint_tells_who_and_when_and_nothing_else() -> None:
    one = Interval("a", "m", date(2021, 3, 4), None, "there")
    two = Interval("b", "m")
    same = Federation((two, Interval("a", "m", date(2021, 3, 4), None, "elsewhere")))
    table = Federation((one, two))
    assert table.fingerprint == same.fingerprint
    others = [
        Federation((one,)),
        Federation((one, Interval("b", "n"))),
        Federation((one, Interval("b", "m", None, date(2021, 3, 4)))),
        Federation((Interval("a", "m", None, date(2021, 3, 4)), two)),
    ]
    prints = {table.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 1 + len(others)


def test_a_federation_travels() -> None:
    copy = pickle.loads(pickle.dumps(FEDERATION))
    assert copy == FEDERATION
    assert copy.fingerprint == FEDERATION.fingerprint
    assert copy.member("ovh.mybinder.org", date(2024, 1, 1)) == "ovh2"


def packaged(name: str) -> dict[str, Any]:
    return tomllib.loads((files("daskbinder.model") / name).read_text("utf-8"))


def test_every_packaged_host_has_a_source() -> None:
    assert all(interval.source for interval in FEDERATION.intervals)


def test_annotations_are_well_formed() -> None:
    (notes,) = packaged("annotations.toml").values()
    starts = []
    for note in notes:
        assert set(note) <= {"from", "to", "member", "what", "source", "lost"}
        assert note["what"]
        assert note["source"]
        assert note.get("member", "gke") in FEDERATION.members
        dates = [note[end] for end in ("from", "to") if end in note]
        assert dates
        assert all(type(day) is date and date(2018, 11, 3) <= day for day in dates)
        assert dates == sorted(dates)
        starts.append(dates[0])
    assert starts == sorted(starts)


def test_an_address_with_dots_in_brackets_is_no_host_name() -> None:
    federation = Federation.load()
    assert federation.member("[::ffff:192.0.2.1]:443", date(2021, 3, 4)) == "[::ffff:192.0.2.1]"
    assert federation.member("192.0.2.1:443", date(2021, 3, 4)) == "192.0.2.1"
    assert federation.member("[a.b", date(2021, 3, 4)) == "[a"
    assert federation.member("[192.0.2.12", date(2021, 3, 4)) == "[192"
