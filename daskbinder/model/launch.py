"""What a launch is: its columns, and the rules by which a line is accepted or rejected.

Reads one line at a time. `daskbinder.counting.scan` reads millions by passing the distinct ones
here. Opens no file and counts nothing.

The fields are those of BinderHub's ``event-schemas/launch.json``; the rules are this project's.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, TypeGuard, get_args

import pyarrow as pa

from daskbinder.model import jsontext
from daskbinder.model.dates import day_number

SCHEMA = "binderhub.jupyter.org/launch"
VERSIONS = frozenset(range(1, 7))
"""Versions of the launch schema known today (BinderHub, ``event-schemas/launch.json``)."""

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Microseconds in a minute, an hour and a day."""


class Reason(StrEnum):
    """Why a line is rejected, in the order in which the rules are tried."""

    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    OTHER_SCHEMA = "other-schema"
    UNKNOWN_VERSION = "unknown-version"
    BAD_FIELD = "bad-field"
    BAD_TIMESTAMP = "bad-timestamp"
    OUTSIDE_DAY = "outside-day"


class Launch(NamedTuple):
    """The fields of an accepted event other than its timestamp; None where missing or null.

    All tables of launches take their columns, types and nullability from here, through `COLUMNS`.
    """

    schema: str
    version: int
    provider: str
    spec: str
    status: str
    origin: str | None
    ref: str | None
    build_token: bool | None
    request_origin: str | None


class Column(NamedTuple):
    """How a field of `Launch` is stored in a table.

    A column that `repeats` has few distinct values, so only dictionary codes need storing.
    """

    type: pa.DataType
    nullable: bool
    repeats: bool


def _column(name: str, hint: Any) -> Column:
    kind, *null = get_args(hint) or (hint,)
    types = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}
    return Column(types[kind], bool(null), name not in ("spec", "ref"))


COLUMNS = {name: _column(name, hint) for name, hint in Launch.__annotations__.items()}
"""The fields of `Launch` as columns, in order."""

KEY = {name: column.type for name, column in COLUMNS.items() if name != "ref"}
"""Types of the columns that, with the timestamp, identify a row of a rollup."""

TIMESTAMP = pa.timestamp("us", "UTC")
"""Type of a timestamp in tables."""

BLANK = b" \t\r\n"
BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)


def read_timestamp(text: object) -> int | None:
    """Parse an ISO 8601 date-time into microseconds from 1970-01-01 UTC; None if invalid.

    Extended format, to the minute or finer, any UTC offset; no offset means UTC. Fractions are cut
    to microseconds. Leap seconds, ``24:00``, week dates and the basic format are rejected.
    """
    match = _TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups("0")
    if hour > "23" or minute > "59" or second > "59" or off_hour > "23" or off_minute > "59":
        return None
    try:
        days = day_number(date(int(year), int(month), int(day)))
    except ValueError:
        return None
    offset = int(off_hour) * HOUR + int(off_minute) * MINUTE
    return (
        days * DAY
        + int(hour) * HOUR
        + int(minute) * MINUTE
        + int(second) * 1_000_000
        + int(fraction[:6].ljust(6, "0"))
        + (offset if sign == "-" else -offset)
    )


def read_fields(
    line: bytes, versions: frozenset[int] = VERSIONS
) -> tuple[object, Launch] | Reason | None:
    """Read one line except its timestamp, which is returned raw with the other fields.

    Returns the reason if the line is rejected, None if it is blank. The line may have a line end.
    """
    line = line.removeprefix(BOM)
    try:
        record = jsontext.loads(line)
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    except ValueError:
        return Reason.NOT_JSON if line.strip(BLANK) else None
    if type(record) is not dict:
        return Reason.NOT_AN_OBJECT
    get = record.get
    if get("schema") != SCHEMA:
        return Reason.OTHER_SCHEMA
    version = get("version")
    if type(version) is not int or version not in versions:
        return Reason.UNKNOWN_VERSION
    provider, spec, status = get("provider"), get("spec"), get("status")
    origin, build_token, request_origin = get("origin"), get("build_token"), get("request_origin")
    ref = get("ref")
    if not (
        _is_text(provider)
        and _is_text(spec)
        and _is_text(status)
        and (origin is None or _is_text(origin))
        and (build_token is None or type(build_token) is bool)
        and (request_origin is None or _is_text(request_origin))
    ):
        return Reason.BAD_FIELD
    if not _is_text(ref):
        ref = None
    return get("timestamp"), Launch(
        SCHEMA, version, provider, spec, status, origin, ref, build_token, request_origin
    )


def _is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a string without lone surrogates, which cannot be encoded."""
    return type(value) is str and (value.isascii() or not _SURROGATE.search(value))


def read_line(
    line: bytes, day: int, versions: frozenset[int] = VERSIONS
) -> tuple[int, Launch] | Reason | None:
    """Read one line of the day file of `day`, in days from 1970-01-01.

    Returns the timestamp, in microseconds from 1970-01-01 UTC, and the other fields; the reason if
    the line is rejected; None if it is blank.
    """
    fields = read_fields(line, versions)
    if not isinstance(fields, tuple):
        return fields
    stamp = read_timestamp(fields[0])
    if stamp is None:
        return Reason.BAD_TIMESTAMP
    if abs(stamp // DAY - day) > 1:
        return Reason.OUTSIDE_DAY
    return stamp, fields[1]
