"""Redaction of secrets: passwords, tokens and the like, in URLs, options, specs and errors.

Text in, text out. Secrets are recognised by their shape and, in file system errors, also by the URL
and options that the file system was given.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

HIDDEN = "***"
"""Replaces a secret in text."""

_SHORTEST = 4
"""Minimum length of a secret to search for in errors; shorter ones occur in ordinary words."""

_WORDS = {"anon", "browser", "cache", "cloud", "google_default", "true", "false", "none", "null"}
"""Option values that are not secret."""

_PATHS = {"file", "local", "memory", "zip", "tar", "libarchive"}
"""Protocols whose URLs are plain paths."""

_CONTAINERS = {"abfs", "abfss", "wasb", "wasbs", "az", "adl"}
"""Protocols that write CONTAINER@ACCOUNT."""

_NAMED = {"github"}
"""Protocols that write ORGANISATION:REPOSITORY@REF."""

_PORT = re.compile(r"[^:\[]*(?::\d*)?|\[[^\]]*\](?::\d*)?")
_CHAIN = re.compile(r"::(?![^\[]*\])(?![^/]*@)")  # not within an IPv6 address or a password


def address_of(url: str) -> str:
    """Strip user, password, query and fragment from a URL, for storing and showing.

    The result identifies a location. The query is left out: a signature renewed every hour would
    otherwise make a new location each time. If two archives differ only in their query, sizes and
    fingerprints tell which days to read again. Container names (``abfs://CONTAINER@ACCOUNT``),
    repository names (``github://``) and local paths are kept.

    Examples
    --------
    >>> address_of("filecache::https://me:secret@example.org/archive?sig=secret#x")
    'filecache::https://example.org/archive'
    >>> address_of("/data/me@home?")
    '/data/me@home?'
    """
    return "::".join(map(_address, _CHAIN.split(url)))


def _address(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() in _PATHS:
        return url
    user, rest = _cut(scheme.lower(), rest)
    if user is None and not has_port(f"{scheme}://{rest}"):
        rest = rest.partition(":")[0]
    return f"{scheme}://{re.split('[?#]', rest, maxsplit=1)[0]}"


def _cut(scheme: str, rest: str) -> tuple[str | None, str]:
    """Split what follows ``://`` into user and password, None if there are none, and the rest."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    before = authority.rpartition("@")[0]
    if scheme in _NAMED or (scheme in _CONTAINERS and ":" not in before):
        return None, rest
    if "@" in authority:
        return before, rest[len(before) + 1 :]
    if "@" in unquote(authority):
        user, _, host = unquote(authority).rpartition("@")
        return user, host + rest[len(authority) :]
    if not _PORT.fullmatch(authority) and "@" in rest:  # a slash in the password
        user, _, host = rest.rpartition("@")
        return user, host
    return None, rest


def has_port(url: str) -> bool:
    """Whether the port of each part of a URL is a number, empty or missing.

    If not, it may be part of a password with an unescaped slash or question mark.
    """
    for part in _CHAIN.split(url):
        scheme, separator, rest = part.partition("://")
        if not separator or scheme.lower() in _PATHS | _NAMED:
            continue
        authority = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        if not _PORT.fullmatch(authority):
            return False
    return True


class StorageOptions(Mapping[str, Any]):
    """File system arguments; only their names are shown.

    Examples
    --------
    >>> options = StorageOptions({"token": "secret"})
    >>> options, options["token"] == "secret"
    (StorageOptions(token), True)
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(sorted((values or {}).items()))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._values)})"


def secrets_of(url: str, options: Mapping[str, Any]) -> frozenset[str]:
    """Secrets in a URL and in options, which a file system error may quote."""
    texts = [text for part in _CHAIN.split(url) for text in _secrets_in(part)]
    texts += _texts(options)
    return frozenset(
        text for text in texts if len(text) >= _SHORTEST and text.lower() not in _WORDS
    )


def _secrets_in(url: str) -> Iterator[str]:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() in _PATHS:
        return
    user, rest = _cut(scheme.lower(), rest)
    if user:
        yield user
        yield unquote(user)
        password = user.partition(":")[2]
        yield password
        yield unquote(password)
    for query in re.split("[?#]", rest)[1:]:
        yield query
        for pair in re.split("[&;]", query):
            value = pair.partition("=")[2]
            yield value
            yield unquote_plus(value)


def _texts(value: Any) -> Iterator[str]:
    """Text and numbers in a value, at any depth."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


_IN_TEXT = r"[^\s'\"<>]"
_USER_IN_TEXT = re.compile(
    rf"(?<![A-Za-z0-9+.-])(?!(?:{'|'.join(_CONTAINERS | _NAMED)})://)([A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:[^\s'\"<>/]*@|[^\s'\"<>/@:\[]*:(?!\d*(?:[/?#\s'\"<>),]|$))[^\s'\"<>]*@)"
)
_QUERY_IN_TEXT = re.compile(
    rf"((?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>?#]*)[?#]{_IN_TEXT}*"
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Remove secrets from a third-party message: those given, and those in its URLs.

    Examples
    --------
    >>> scrub("cannot open 'https://me:secret@example.org/a?token=secret'")
    "cannot open 'https://example.org/a'"
    """
    quoted = {way for secret in secrets for way in _quotings(secret)}
    for way in sorted(quoted, key=len, reverse=True):
        text = text.replace(way, HIDDEN)
    return _QUERY_IN_TEXT.sub(r"\1", _USER_IN_TEXT.sub(r"\1", text))


def _quotings(text: str) -> set[str]:
    """Forms in which a message may quote a text."""
    return {text, quote(text), quote(text, safe=""), repr(text)[1:-1], json.dumps(text)[1:-1]}


_USER = re.compile(
    r"((?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*:/+)(?!git@[^/@]*(?:/|$))"
    r"(?:[^/]*@|[^/@:\[]*:(?!\d*(?:[/?#]|$)).*@)",
    re.DOTALL,
)
_USER_WITHOUT_SCHEME = re.compile(
    r"(?i)^(?!doi:)[^/@:\s]*:(?!/|\d*(?:/|$)).*@"  # me:secret@host
    r"|(?<=/)[^/:@]*:[^/]*@"
    r"|^(?!git@)[^/@:\s]+@(?=[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:[/:]|$))",  # token@host
    re.DOTALL,
)
_PARAMETER = re.compile(
    r"(?i)(?<=[?&;])[^=&;?/]*(?:token|secret|passw|pwd|auth|sig|key|credential|private)[^=&;?/]*"
    r"=[^&;]*&?"
)
_TOKEN = re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}")

MAY_HOLD = (
    r"(?i)@|%(?:25)*40|gh[pousr]_|github_pat_|glpat-"
    r"|(?:[?&;]|%(?:25)*(?:3f|26|3b)).*(?:=|%(?:25)*3d)"
)
"""RE2 pattern that matches every spec with a secret, and few others."""

_MAX_ENCODINGS = 4
"""Levels of percent-encoding to look through; a correct spec has one."""

_MAX_LENGTH = 8192
"""Maximum length of a spec, in characters; no URL is longer."""


def without_secrets(text: str) -> str:
    """Remove user, password and tokens from a spec or a name, even if percent-encoded.

    A spec is not always a URL, so secrets are recognised by their shape: what precedes the ``@``
    before a host, a parameter with a telling name, a token like those of GitHub or GitLab. The user
    ``git``, which is no secret, is kept. Text without secrets is unchanged; other text is returned
    decoded to the level at which the secret was found.

    Examples
    --------
    >>> without_secrets("https%3A%2F%2Fme%3Asecret%40example.org%2Fa%2Fb/main")
    'https://example.org/a/b/main'
    >>> without_secrets("owner/name@v1.0")
    'owner/name@v1.0'
    """
    if len(text) > _MAX_LENGTH:
        text = text[:_MAX_LENGTH].rpartition("/")[0]
    decoded = text
    for _ in range(_MAX_ENCODINGS):
        if (cut := _cut_by_looks(decoded)) != decoded:
            return without_secrets(cut)
        decoded = unquote(decoded)
    return text


def _cut_by_looks(text: str) -> str:
    cut = _PARAMETER.sub(
        "", _USER_WITHOUT_SCHEME.sub(_without_user, _USER.sub(_without_user, text))
    )
    if cut != text:
        cut = cut.rstrip("?&;")
    return _TOKEN.sub(HIDDEN, cut)


def _without_user(match: re.Match[str]) -> str:
    """Drop user and password, unless both are empty."""
    scheme = (match[1] or "") if match.re is _USER else ""
    return scheme if match[0][len(scheme) :].strip(":@") else match[0]


_WORD = re.compile(r"[^\s\"',{}]+")
_JSON_ESCAPE = re.compile(r"\\(?:u00([2-7][0-9a-fA-F])|(/))")


def line_without_secrets(text: str, *, cut: bool) -> str:
    """Remove secrets from a line of an archive, which need not be JSON.

    A line that was `cut` short may end inside a secret, so its last word is dropped too.

    Examples
    --------
    >>> line_without_secrets('{"spec": "https://me:secret@example.org/a", "vers', cut=True)
    '{"spec": "https://example.org/a", "'
    """
    text = _JSON_ESCAPE.sub(lambda escape: chr(int(escape[1] or "2f", 16)), text)
    if cut:
        text = text[: max(text.rfind(end) for end in "\"', \t") + 1]
    return _WORD.sub(lambda word: without_secrets(word[0]), text)
