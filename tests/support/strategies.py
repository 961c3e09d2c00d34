"""What hypothesis draws: events, lines, day files and archives, from regular to hostile.

A regular line is byte for byte like those of the public archive and repeats apart from its
timestamp; that is what fast code relies on. Everything else here tries to look regular and is not.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

SCHEMA = "binderhub.jupyter.org/launch"
SINCE = {
    "timestamp": 1,
    "schema": 1,
    "version": 1,
    "provider": 1,
    "spec": 1,
    "ref": 4,
    "status": 1,
    "origin": 3,
    "build_token": 5,
    "request_origin": 6,
}
"""The fields in the order of the archive, and the version that brought each."""
FIRST_DAYS = (
    date(2018, 11, 3),
    date(2018, 12, 28),
    date(2019, 6, 10),
    date(2020, 2, 26),
    date(2020, 12, 29),
    date(2021, 2, 27),
    date(2023, 2, 6),
    date(2024, 12, 27),
    date(2026, 2, 27),
)
HOSTS = (
    "gke.mybinder.org",
    "ovh.mybinder.org",
    "gesis.mybinder.org",
    "gke.mybinder.org:443",
    "OVH.mybinder.org",
    "2i2c.mybinder.org.",
    "a.example.org",
    "",
)
REPOS = (
    "ipython/ipython-in-depth/master",
    "jupyterlab/jupyterlab-demo/HEAD",
    "10.5281/zenodo.3242074",
    "",
    "é/ü/\u65e5\u672c",
    "\U0001f600",
    "a\x00b",
    "\u2028\x85\x7f",
    'say "hi"\\',
    '", "status": "failure", "x": "',
    '{"timestamp": "2021-03-04T00:00:00+00:00", "version": 6}',
    '"timestamp": "2021-03-04T00:00:00+00:00"',
    "2021-03-04T00:00:00+00:00",
    "{[",
    "\\u0041",
    "x" * 300,
)
LAYOUTS = (
    (0, (", ", ": ")),  # the archive's: the timestamp first
    (-1, (", ", ": ")),
    (3, (", ", ": ")),
    (0, (",", ":")),
    (-1, (",", ":")),
)
"""Where the timestamp stands among the fields, and what separates them."""


# Timestamps -------------------------------------------------------------------------------------


def minutes(day: date) -> st.SearchStrategy[str]:
    """Draw a timestamp of the archive: cut to the minute, in UTC; midnights are likely."""
    return st.builds(
        lambda hour, minute: f"{day}T{hour:02}:{minute:02}:00+00:00",
        st.sampled_from([0, 0, 1, 11, 12, 23, 23]) | st.integers(0, 23),
        st.sampled_from([0, 29, 30, 31, 59]) | st.integers(0, 59),
    )


@st.composite
def timestamps(draw: st.DrawFn, day: date) -> str:
    """Draw any accepted form of a date-time, at most a few days off, or what only looks like it."""
    near = day + timedelta(days=draw(st.sampled_from([0, 0, 0, 0, -1, 1, -2, 2, 365])))
    text = f"{near}T{draw(st.sampled_from(['00:00', '23:59', '00:30', '12:30', '11:59']))}"
    text += draw(
        st.sampled_from(["", ":00", ":00", ":59", ":30.5", ":29.9999999", ":59,999999", ":00.0"])
    )
    text += draw(
        st.sampled_from(
            [
                *("+00:00", "+00:00", "Z", "z", "", "+0000", "+00", "-00:00"),
                *("+01:00", "-01:00", "+0530", "+23:59", "-23:59", "-12", "+00:01", "-00:01"),
            ]
        )
    )
    if draw(st.integers(0, 7)):
        return text
    odd = text.replace("T", draw(st.sampled_from(["t", " ", "_", "", "  ", "T "])))
    return draw(
        st.sampled_from(
            [
                odd,
                f" {text}",
                f"{text} ",
                f"{text}\n",
                f"{text}+00:00",
                str(near),
                f"{near}T24:00:00+00:00",
                f"{near}T23:60:00+00:00",
                f"{near}T23:59:60+00:00",
                f"{near}T12:00:00+24:00",
                f"{near}T12:00:00+00:60",
                f"{near}T12:00:00.+00:00",
                f"{near}T1:00:00+00:00",
                f"{near}T12:00:00+1:00",
                f"{near}T12:00:00+00:00:00",
                f"{near}T12:00:00.5",
                f"{near:%Y-%m-}00T12:00:00+00:00",
                f"{near:%Y-%m-}32T12:00:00+00:00",
                f"{near.year}-02-30T12:00:00+00:00",
                f"{near.year}-13-01T12:00:00+00:00",
                f"{near:%Y%m%d}T120000+00:00",
                f"{near:%G-W%V-%u}T12:00:00+00:00",
                f"{near}T12:0\u0660:00+00:00",
                f"{near}T12:0\uff10:00+00:00",
                "0000-00-00T00:00:00+00:00",
                "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59-23:59",
                "",
            ]
        )
    )


# Events -----------------------------------------------------------------------------------------


@st.composite
def regular_events(draw: st.DrawFn, day: date) -> dict[str, Any]:
    """Draw an event as BinderHub writes it, in the field order of its version."""
    version = draw(st.integers(1, 6))
    event = {
        "timestamp": draw(minutes(day)),
        "schema": SCHEMA,
        "version": version,
        "provider": draw(st.sampled_from(["GitHub", "Gist", "Git", "Zenodo"])),
        "spec": draw(st.sampled_from(REPOS)),
        "ref": draw(st.sampled_from(["24b9f6d6b9e6a9c8", "HEAD"])),
        "status": draw(st.sampled_from(["success", "failure"])),
        "origin": draw(st.sampled_from(HOSTS)),
        "build_token": draw(st.booleans()),
        "request_origin": draw(st.sampled_from(["", "example.org"])),
    }
    return {name: event[name] for name, since in SINCE.items() if since <= version}


WRONG = st.sampled_from(
    [None, True, False, 0, 5, 5.0, "5", "", -1, 10**20, 1e300, [], ["x"], {}, {"spec": "x"}]
)
ANYTHING = {
    "schema": st.sampled_from([SCHEMA, SCHEMA, SCHEMA.upper(), "", f"{SCHEMA} "]) | WRONG,
    "version": st.sampled_from([1, 2, 3, 4, 5, 6, 7, 0, -5, True, 5.0, "5", 2**63, 2**64]) | WRONG,
    "provider": st.sampled_from(["GitHub", "CKAN", "github", ""]) | st.text(max_size=4) | WRONG,
    "spec": st.sampled_from(REPOS) | st.text(max_size=8) | WRONG,
    "ref": st.sampled_from(["24b9f6d6b9e6a9c8", ""]) | st.text(max_size=4) | WRONG,
    "status": st.sampled_from(["success", "failure", "Success", ""]) | WRONG,
    "origin": st.sampled_from(HOSTS) | st.text(max_size=4) | WRONG,
    "build_token": st.sampled_from([True, False, None, 0, 1, "true", ""]) | WRONG,
    "request_origin": st.sampled_from(["", "example.org", "evil\x00"]) | WRONG,
}
UNKNOWN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*REPOS, "\ud800", "a\udc00"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([*SINCE, "x", "timestamp "]), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def odd_pairs(draw: st.DrawFn, day: date) -> list[tuple[str, Any]]:
    """Draw the fields of an event in any order: some wrong, missing, repeated or unknown."""
    pairs = list(draw(regular_events(day)).items())
    fields = ANYTHING | {"timestamp": timestamps(day) | WRONG}
    for name in draw(st.lists(st.sampled_from(list(fields)), max_size=2)):
        at = draw(st.integers(0, len(pairs)))
        pairs.insert(at, (name, draw(fields[name])))
    if draw(st.booleans()):
        stamp = draw(timestamps(day))
        pairs = [(name, stamp if name == "timestamp" else value) for name, value in pairs]
    if draw(st.booleans()):
        name = draw(st.sampled_from(["new", "", "Version", "timestamp ", "time", "sp\x00ec"]))
        pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(UNKNOWN)))
    order = draw(st.sampled_from(["kept", "kept", "mixed", "last lost"]))
    if order == "mixed":
        return draw(st.permutations(pairs))
    return pairs if order == "kept" else pairs[:-1]


@st.composite
def encoded(draw: st.DrawFn, pairs: Sequence[tuple[str, Any]]) -> bytes:
    """Draw a way to write the pairs as one JSON object, repeated names included."""
    comma, colon = draw(
        st.sampled_from(
            [(", ", ": "), (", ", ": "), (",", ":"), (" ,", " :"), (",\t", ":\r"), (",  ", ":")]
        )
    )
    ascii_only = draw(st.booleans())
    texts = []
    for name, value in pairs:
        key, text = (json.dumps(part, ensure_ascii=ascii_only) for part in (name, value))
        spell = draw(st.integers(0, 9))
        if spell == 0:
            key = _escape(key, draw(st.integers(1, 4)))
        elif spell == 1 and isinstance(value, str):
            text = _escape(text, draw(st.integers(1, 30)))
        texts.append(f"{key}{colon}{text}")
    start, end = draw(st.sampled_from([("", ""), ("", ""), (" ", "\r"), ("\ufeff", "\t")]))
    return f"{start}{{{comma.join(texts)}}}{end}".encode("utf-8", "surrogatepass")


def _escape(text: str, at: int) -> str:
    """Write one plain letter of a JSON string as its code."""
    if at >= len(text) - 1 or not text[at].isascii() or not text[at].isalnum():
        return text
    if "\\" in text[max(0, at - 5) : at]:
        return text
    return f"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1 :]}"


# Lines ------------------------------------------------------------------------------------------


def plain(event: Mapping[str, Any]) -> bytes:
    """Write an event as the archive does."""
    return json.dumps(event).encode()


def laid_out(event: Mapping[str, Any], layout: tuple[int, tuple[str, str]]) -> bytes:
    """Write an event in one of the regular layouts."""
    at, separators = layout
    items = [pair for pair in event.items() if pair[0] != "timestamp"]
    items.insert(at if at >= 0 else len(items), ("timestamp", event["timestamp"]))
    return json.dumps(dict(items), separators=separators).encode()


def odd_lines(day: date) -> st.SearchStrategy[bytes]:
    """Draw a JSON object that is nearly an event."""
    return odd_pairs(day).flatmap(encoded)


SCRAPS = (
    *(b'"', b"\\", b",", b":", b"{", b"}", b"[", b" ", b"\r", b"\n", b"\t", b"\x00", b"\x0b"),
    *(b"0", b"9", b"-", b"+", b"T", b"Z", b"t", b"null", b"true", b'"x": 1, ', b'"version": 6, '),
    *(b"\xff", b"\xc3", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xe2\x80\xa8"),
    *(b"\\u0000", b"\\ud800", b"\\n"),
)
"""Bytes that matter somewhere in a line."""


@st.composite
def mutated_lines(draw: st.DrawFn, day: date) -> bytes:
    """Draw a regular line with a few bytes replaced, added, lost, doubled or cut off."""
    line = laid_out(draw(regular_events(day)), draw(st.sampled_from(LAYOUTS)))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(line)))
        until = min(len(line), at + draw(st.sampled_from([0, 1, 1, 2, 12])))
        kind = draw(st.sampled_from(["put", "put", "lose", "double", "cut", "swap"]))
        if kind == "put":
            line = line[:at] + draw(st.sampled_from(SCRAPS)) + line[until:]
        elif kind == "lose":
            line = line[:at] + line[until:]
        elif kind == "double":
            line = line[:until] + line[at:]
        elif kind == "cut":
            line = line[:at]
        else:
            line = line[:at] + line[at : at + 2][::-1] + line[at + 2 :]
    return line


@st.composite
def hostile_lines(draw: st.DrawFn, day: date) -> bytes:
    """Draw what may stand in a file and is hardly ever a launch."""
    line = plain(draw(regular_events(day)))
    inner = line[1:-1]
    depth = draw(st.sampled_from([2, 199, 200, 201, 1022, 1024, 1025, 1100, 1900]))
    return draw(
        st.sampled_from(
            [
                b"",
                b"\r",
                b" \t\r",
                b"\xef\xbb\xbf",
                b"\xef\xbb\xbf" + line,
                b"\xef\xbb\xbf\xef\xbb\xbf" + line,
                b" \xef\xbb\xbf" + line,
                line + b"\xef\xbb\xbf",
                line + b"\r",
                line + b"\r\r",
                b"\r" + line,
                line + b"\r" + line,
                line + line,
                line + b" " + line,
                line + b",",
                b"[" + line + b"]",
                line + b"\x00",
                b"\x00" + line,
                line.replace(b"{", b"{ "),
                line.replace(b'": "', b'":"', 1),
                line.replace(b'": "', b'" : "', 1),
                line.replace(b"+00:00", b"+00:00 "),
                line.replace(b"+00:00", b"\\u002b00:00"),
                line.replace(b"T", b"\\u0054"),
                line.replace(b'"version"', b'"v\\u0065rsion"'),
                line.replace(b'"timestamp"', b'"Timestamp"'),
                b"{" + inner + b', "timestamp": "2021-03-04T00:00:00+00:00"}',
                b'{"timestamp": "2021-03-04T00:00:00+00:00", ' + inner + b"}",
                b"{" + inner + b', "time\\u0073tamp": "' + str(day).encode() + b'T01:00"}',
                b"{" + inner + b', "x": {' + inner + b"}}",
                b'{"x": {' + inner + b"}}",
                b'{"x": [' + line + b"], " + inner + b"}",
                b"{" + inner + b', "x": ' + b"[" * depth + b"]" * depth + b"}",
                b"{" + inner + b', "x": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}",
                b'{"x": "' + b"[{" * depth + b'", ' + inner + b"}",
                b"{" + inner + b', "x": 1e400}',
                b"{" + inner + b', "x": 1e-400}',
                b"{" + inner + b', "x": ' + b"9" * 400 + b"}",
                b"{" + inner + b', "x": 01}',
                b"{" + inner + b', "x": NaN}',
                b"{" + inner + b', "x": -Infinity}',
                b"{" + inner + b', "x": "\\ud800"}',
                b"{" + inner + b', "spec": "\\ud800"}',
                b"{" + inner + b', "origin": "a\\udfff"}',
                b"{" + inner + b', "ref": "\\ud800"}',
                b"{" + inner + b', "schema": "\\ud800"}',
                b"{" + inner + b', "timestamp": "\\ud800"}',
                b"{" + inner + b', "version": ' + b"9" * 5000 + b"}",
                b"{" + inner + b', "x": ' + b"9" * 5000 + b"}",
                b"{" + inner + b', "x": -' + b"9" * 400 + b"}",
                b"{" + inner + b', "x": ' + b"[" * depth + b"1e999" + b"]" * depth + b"}",
                b"{" + inner + b', "x": ' + b"[" * depth + b"NaN" + b"]" * depth + b"}",
                b"{" + inner + b', "x": ' + b"[" * depth + b"1," + b"]" * depth + b"}",
                b"{" + inner + b', "spec": ' + b"[" * depth + b"]" * depth + b"}",
                b"{" + inner + b', "x": "\\ud83d\\ude00"}',
                b"{" + inner + b', "\\udc00": 1}',
                b"{" + inner + b', "spec": "\\u0000"}',
                b"{" + inner + b', "spec": "a\xff"}',
                b"{" + inner + b', "spec": "\xed\xa0\x80"}',
                b"{" + inner + b', "spec": "a\tb"}',
                b"{" + inner + b', "ref": 1}',
                b"{" + inner + b', "ref": null, "origin": null}',
                b"{" + inner + b', "version": 5.0}',
                b"{" + inner + b', "version": 5e0}',
                b"{" + inner + b', "version": -0}',
                b"{" + inner + b', "version": true}',
                b"{" + inner + b",}",
                b"{,}",
                b"{}",
                b"null",
                b"1",
                b'"' + inner.replace(b'"', b"'") + b'"',
                b"// comment",
                b"\x1f\x8b\x08\x00",
                b"\xff\xfe{\x00}\x00",
            ]
        )
    )


# Day files and archives -------------------------------------------------------------------------


@st.composite
def regular_bodies(draw: st.DrawFn, day: date) -> list[bytes]:
    """Draw lines in one layout, sorted by minute, most of which repeat apart from the minute."""
    layout = draw(st.sampled_from([LAYOUTS[0], *LAYOUTS]))
    events = draw(st.lists(regular_events(day), min_size=1, max_size=4))
    stamps = sorted(draw(st.lists(minutes(day), min_size=1, max_size=12)))
    which = draw(st.lists(st.integers(0, 3), min_size=len(stamps), max_size=len(stamps)))
    return [
        laid_out(events[i % len(events)] | {"timestamp": stamp}, layout)
        for stamp, i in zip(stamps, which, strict=True)
    ]


@st.composite
def bodies(draw: st.DrawFn, day: date) -> bytes:
    """Draw the bytes of a day file: regular lines for the most part, others among them."""
    lines = draw(regular_bodies(day)) if draw(st.integers(0, 5)) else []
    others = st.lists(odd_lines(day) | mutated_lines(day) | hostile_lines(day), max_size=3)
    for line in draw(others):
        at = draw(st.integers(0, len(lines)))
        lines[at:at] = [line] * draw(st.sampled_from([1, 1, 1, 2]))
    end = draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"]))
    body = b"".join(line + end for line in lines)
    return body if draw(st.booleans()) else body.removesuffix(b"\n")


@st.composite
def archives(draw: st.DrawFn, max_days: int = 4) -> dict[date, bytes]:
    """Draw the files of some days near the end of a week, a month or a year, with gaps."""
    first = draw(st.sampled_from(FIRST_DAYS))
    steps = draw(st.lists(st.integers(0, 9), min_size=1, max_size=max_days, unique=True))
    days = [first + timedelta(days=step) for step in sorted(steps)]
    return {day: draw(st.just(b"") | bodies(day) | bodies(day)) for day in days}
