"""Names as strangers make them up, and a data set in which everything that may be one is one."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from distributed import Client

import daskbinder as db
from daskbinder.model.federation import Interval, host_of

RUN = "<img src=x onerror=pwned=1>"
OF_EVERY_OBJECT = (
    *("constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "isPrototypeOf"),
    *("propertyIsEnumerable", "toLocaleString", "__defineGetter__", "__defineSetter__"),
    *("__lookupGetter__", "__lookupSetter__"),
)
"""What an object of JavaScript has before anything is put into it."""
OF_OURS = (
    *("self", "date", "day", "launches", "total", "x", "y", "length", "name", "id", "then"),
    *("series 0", "below 0", "a from", "this repository", "gke", "__class__", "null", "NaN"),
)
NOT_SEEN = (
    *("", " ", "\x00", "\x1b[2J\x1b]0;pwned\x07", "\x9b31m", "\x7f", "a\r\nb", "\r", "\n", "\t"),
    *("\u202egpj.exe", "\u2066a\u2069", "\u200f", "\u200b", "\u2028", "\u2029", "\ufeff", "\u3164"),
    *("\xad", "\xa0"),
)
FORMULAS = (
    *("=1+1", "+1", "-1", "@a", "a\r=1+1", ";=1+1", "a;=1+1", "\t=1+1", "\xa0=1+1", "\ufeff=1+1"),
    *(" =1+1", ",=1+1", '";=1+1', "\u200b=1+1"),
)
LONG = ("x" * 10_000, "\u202e" * 10_000, "é" * 10_000)
MARKUP = (
    RUN,
    "</script><script>pwned=1</script>",
    "[bold]a[/bold]",
    "${1}",
    "@name{safe}",
    "%0a",
    "$$x^2$$",
    r"\(y\)",
    r"\[z\]",
)
NAMES = (*OF_EVERY_OBJECT, *OF_OURS, *NOT_SEEN, *FORMULAS, *LONG, *MARKUP)
DAYS = [date(2021, 3, 1) + timedelta(days=i) for i in range(3)]


def events(launch: Callable[..., dict[str, Any]]) -> dict[date, list[dict[str, Any]]]:
    """Launches of three days, in which each name is a host, a provider, an owner and a spec."""
    return {
        day: [
            event
            for name in NAMES
            for event in (
                launch(f"{day}T10:00", origin=name, spec=f"{name}/{name}/{name}"),
                launch(f"{day}T11:00", origin=name, provider=name, spec=name),
            )
        ]
        for day in DAYS
    }


def federation() -> db.Federation:
    """Members of these names, spelt exactly so; a table has none without a sign."""
    packed = db.Federation.load().intervals
    named = {host_of(name): name for name in NAMES if name.strip() and host_of(name).strip()}
    return db.Federation((*packed, *(Interval(*one) for one in named.items())))


def count(archive: Path, dest: Path, client: Client, instance: db.Instance) -> Path:
    """Count them."""
    plan = db.plan(db.Archive(archive, instance=instance), dest, federation=federation())
    db.run(plan, client)
    return dest
