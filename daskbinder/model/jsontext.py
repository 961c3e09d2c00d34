"""JSON as Python's ``json`` defines it, for lines of any shape.

A fast parser reads nearly all lines. It rejects some valid JSON: numbers beyond a double, lone
surrogates, deep nesting. Python's ``json`` reads these, without its own limits, which depend on the
interpreter.
"""

import json
import re
from typing import Any, NoReturn

import orjson

_DEPTH = 200
"""Nesting depth that Python's ``json`` reads at any depth of the call stack."""

_SPACE = r"[ \t\n\r]*"
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(rf"({_STRING})|({_NUMBER}|true|false|null)|([\[\]{{}}:,])")
_BLANK = re.compile(_SPACE)
_CLOSES = {"[": "]", "{": "}"}


def loads(line: bytes) -> Any:
    """Parse one JSON value in UTF-8; raise ValueError if it is invalid.

    Parses as ``json.loads`` does, except that NaN and Infinity are rejected, an integer of more
    than 18 digits may become a float, and a deeply nested container may come back empty.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        text = line.decode()
    if text.count("[") + text.count("{") > _DEPTH:
        text = _flatten(text)
    return _DECODER.decode(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 18 else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)


def _flatten(text: str) -> str:
    """Check that a text is JSON, and empty the containers inside the outermost one."""
    kept: list[str] = []
    closers: list[str] = []
    wanted = "value"
    at = _after_blank(text, 0)
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"no JSON at character {at}")
        string, _, sign = token.groups()
        depth = len(closers)
        if sign is None:
            wanted = _after_scalar(wanted, closers, is_string=string is not None)
        elif sign in _CLOSES and wanted in ("value", "value or end"):
            closers.append(_CLOSES[sign])
            wanted = "value or end" if sign == "[" else "key or end"
        elif closers and sign == closers[-1] and wanted in ("comma", f"{_kind(sign)} or end"):
            closers.pop()
            depth = len(closers)
            wanted = "comma"
        elif closers and sign == "," and wanted == "comma":
            wanted = _kind(closers[-1])
        elif sign == ":" and wanted == "colon":
            wanted = "value"
        else:
            raise ValueError(f"{sign!r} out of place at character {at}")
        if depth < 2:
            kept.append(token[0])
        at = _after_blank(text, token.end())
    if closers or wanted != "comma":
        raise ValueError("ends too early")
    return "".join(kept)


def _kind(closer: str) -> str:
    return "value" if closer == "]" else "key"


def _after_scalar(wanted: str, closers: list[str], *, is_string: bool) -> str:
    """What must follow a string, a number or a constant."""
    if is_string and wanted in ("key", "key or end"):
        return "colon"
    if wanted not in ("value", "value or end"):
        raise ValueError("a value out of place")
    return "comma"


def _after_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return at if blank is None else blank.end()
