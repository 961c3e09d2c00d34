"""Resolve a provider and a spec to a repository, its organisation and a ref.

A spec is what follows the provider in a launch URL. Each provider parses it differently, by the
rules of BinderHub's ``binderhub/repoproviders.py``. Where these allow several spellings of one
repository, one is chosen.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.redaction import MAY_HOLD, without_secrets

__all__ = [
    "GIST_SINCE",
    "Target",
    "candidates",
    "hold_secrets",
    "keys",
    "resolve",
    "resolve_one",
]

GIST_SINCE = 2
"""The first schema version with Gists; earlier ones recorded them as GitHub's.

`GistRepoProvider` inherited the name of its base class until BinderHub's pull request 802.
"""


class Target(NamedTuple):
    """What a spec names.

    Attributes
    ----------
    provider : str
        As in the event, except for a Gist recorded as GitHub's.
    repository : str
        Its name; the spec itself if the provider cannot read it. Like the other fields, without
        password, user and token.
    org : str or None
        Its owner; None if the provider cannot read the spec.
    ref : str or None
        The branch, tag or commit asked for; None if there is none.
    """

    provider: str
    repository: str
    org: str | None
    ref: str | None


class _Rule(NamedTuple):
    """How a provider reads a spec.

    Attributes
    ----------
    parts : str
        Pattern that cuts a spec, as it stands in the URL, into ``where`` and ``ref``.
    where : str
        Pattern that finds the pieces of a name in the decoded ``where``.
    repository, org : tuple of str
        What names are made of: groups of `where`, and text between them.
    folded : bool
        Whether names are case-insensitive.
    """

    parts: str
    where: str
    repository: tuple[str, ...]
    org: tuple[str, ...]
    folded: bool


_OWNER_NAME = r"(?s)^(?P<where>[^/]*/[^/]*)(?:/(?P<ref>.*))?$"
_OWNER_NAME_ONE = r"(?s)^(?P<where>[^/]*/[^/]*)(?:/(?P<ref>[^/]*).*)?$"
_ESCAPED = r"(?s)^(?P<where>[^/]*)(?:/(?P<ref>.*))?$"
_WHOLE = r"(?s)^(?P<where>.*)$"

_GIST = r"^(?:https?://gist\.github\.com/)?(?P<org>[\w.-]+)/(?P<name>ID)$"
_NAMED = ("org", "/", "name"), ("org",)

_RULES: Mapping[str, _Rule] = {
    # tokenize_spec splits at the first two slashes, as a branch may contain slashes
    "GitHub": _Rule(
        _OWNER_NAME, r"^(?P<org>[\w.-]+)/(?P<name>\.*[\w-][\w.-]*)$", *_NAMED, folded=True
    ),
    # user, id, ref and whatever follows; the ref may be missing; master/master occurs too
    "Gist": _Rule(_OWNER_NAME_ONE, _GIST.replace("ID", "[0-9A-Fa-f]+"), *_NAMED, folded=True),
    # an escaped namespace of any depth, an escaped ref
    "GitLab": _Rule(
        _ESCAPED,
        r"^/*(?P<org>[\w.-]+)/(?P<name>[\w.-]+(?:/[\w.-]+)*)$",
        *_NAMED,
        folded=True,
    ),
    # a DOI, which is case-insensitive (DOI Handbook, 2.4)
    **dict.fromkeys(
        ("Zenodo", "Figshare", "Dataverse"),
        _Rule(
            _WHOLE,
            r"(?i)^(?:https?://(?:dx\.)?doi\.org/|doi:)?"
            r"(?P<org>10\.[0-9.]{4,})/(?P<name>[^/\s]\S*)$",
            *_NAMED,
            folded=True,
        ),
    ),
    # anything with 32 hexadecimal digits; the last of several
    "Hydroshare": _Rule(
        _WHOLE,
        r"(?s)^.*(?P<name>[0-9a-f]{32}).*$",
        ("name",),
        ("www.hydroshare.org",),
        folded=False,
    ),
    # the URL of a dataset, escaped or not, below any prefix
    "CKAN": _Rule(
        _WHOLE,
        r"^(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?):/{1,2}(?:[^/@]*@)*(?P<host>[^/@]+)"
        r"(?P<prefix>(?:/.*?)?)/dataset/+(?P<name>[^/?#\s]+)",
        ("scheme", "://", "host", "prefix", "/dataset/", "name"),
        ("host",),
        folded=False,
    ),
    # an escaped URL; user and password are not part of the name
    "Git": _Rule(
        _ESCAPED,
        r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/@]*@)*"
        r"(?P<host>(?:[^/@:]+|\[[^/@]*\])(?::[0-9]*)?)/+"
        r"(?P<path>(?:(?P<owner>[^/]+)/)?[^/].*)$",
        ("scheme", "://", "host", "/", "path"),
        ("host", "/", "owner"),
        folded=False,
    ),
}
_GISTS_AT_GITHUB = _RULES["Gist"]._replace(
    where=_GIST.replace("ID", "[0-9a-f]{20}|[0-9a-f]{32}"),
)
_FOLDED = [provider for provider, rule in _RULES.items() if rule.folded]

_TAIL = r"(?:\.git|/)+$"
_SCP = r"^[\w-]+@([\w.-]+):(.+)$"  # git@host:path, GIT_SSH_PATTERN in BinderHub
_PREFIXES = {name.lower(): name for name in _RULES} | {"gh": "GitHub", "gl": "GitLab"}
"""Providers by their prefix in a launch URL."""
_LAUNCH = re.compile(f"/v2/({'|'.join(_PREFIXES)})/(.+)")


def resolve(provider: pa.Array, spec: pa.Array, version: pa.Array) -> pa.Table:
    """Find what specs name.

    Parameters
    ----------
    provider, spec : pyarrow.Array of str
        As in the events.
    version : pyarrow.Array of int
        Their schema versions.

    Returns
    -------
    pyarrow.Table
        The fields of `Target` as str columns, one row per spec, in the same order.
    """
    before = pc.and_(pc.equal(provider, "GitHub"), pc.less(version, GIST_SINCE))
    tries = [("Gist", _GISTS_AT_GITHUB, before)]
    tries += ((name, rule, pc.equal(provider, name)) for name, rule in _RULES.items())
    is_open = np.ones(len(spec), np.bool_)
    rows_of: list[np.ndarray] = []
    targets: list[pa.Table] = []
    for name, rule, among in tries:
        rows = np.flatnonzero(is_open & among.to_numpy(zero_copy_only=False))
        if len(rows):
            target = _read(rule, spec.take(pa.array(rows)))
            fits = target["org"].is_valid()
            rows = rows[fits.to_numpy()]
            is_open[rows] = False
            rows_of.append(rows)
            names = pa.repeat(name, len(rows))
            targets.append(target.filter(fits).add_column(0, "provider", names))
    rest = np.flatnonzero(is_open)
    rows_of.append(rest)
    none = pa.nulls(len(rest), pa.string())
    unread = [provider.take(pa.array(rest)), spec.take(pa.array(rest)), none, none]
    targets.append(pa.table(unread, names=list(Target._fields)))

    order = np.empty(len(spec), np.int64)
    order[np.concatenate(rows_of)] = np.arange(len(spec))
    table = pa.concat_tables(targets).combine_chunks()
    for column, name in enumerate(Target._fields[1:], 1):
        table = table.set_column(column, name, _cut_secrets(table[name].combine_chunks()))
    return table.take(pa.array(order))


def hold_secrets(spec: pa.Array) -> pa.Array:
    """Whether each spec holds a password, a user or a token."""
    return pc.fill_null(pc.not_equal(_cut_secrets(spec), spec), False)


def _cut_secrets(texts: pa.Array) -> pa.Array:
    """Cut secrets from texts, nearly all of which hold none."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, MAY_HOLD), False)
    return _replace(texts, suspect, without_secrets)


def _replace(texts: pa.Array, mask: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Apply `change` to the texts that a mask selects, one by one."""
    if not pc.any(mask).as_py():
        return texts
    changed = [change(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(changed, pa.string()))


def resolve_one(provider: str, spec: str, version: int = GIST_SINCE) -> Target:
    """Find what one spec names.

    Examples
    --------
    >>> resolve_one("GitHub", "ipython/ipython-in-depth/a/branch")
    Target(provider='GitHub', repository='ipython/ipython-in-depth', org='ipython', ref='a/branch')
    >>> resolve_one("Zenodo", "10.5281/zenodo.3242074").org
    '10.5281'
    """
    table = resolve(pa.array([provider]), pa.array([spec]), pa.array([version]))
    return Target(**table.to_pylist()[0])


def keys(provider: pa.Array, repository: pa.Array) -> pa.Array:
    """Comparison keys: equal for names that mean the same repository of a provider."""
    folded = pc.is_in(provider, pa.array(_FOLDED))
    return pc.if_else(folded, pc.ascii_lower(repository), repository)


def candidates(text: str) -> list[tuple[str, str]]:
    """Guess what a user means by a name or a URL.

    Takes ``owner/name``, a DOI, or the URL of a repository or a launch. Returns providers and the
    name that each parses from it, likely ones first; the text itself comes last, for any provider.
    """
    text = without_secrets(text.strip())
    pairs: list[tuple[str, str]] = []
    url = urlsplit(text) if "://" in text else None
    if url is not None:
        owner_name = "/".join([part for part in url.path.split("/") if part][:2])
        launch = _LAUNCH.search(url.path)
        if launch is not None:
            pairs.append(resolve_one(_PREFIXES[launch[1]], launch[2])[:2])
        host = url.netloc.casefold()
        if host in ("github.com", "www.github.com"):
            pairs += _readable({"GitHub": owner_name})
        if host == "gist.github.com":
            pairs += _readable({"Gist": owner_name})
        if host == "gitlab.com":
            pairs += _readable({"GitLab": url.path.partition("/-/")[0]})
    pairs += _readable(dict.fromkeys(_RULES, text))
    pairs += [(provider, text) for provider in _RULES]
    return list(dict.fromkeys(pairs))


def _readable(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Providers that can parse the text given for them, and the names that they parse."""
    read = ((name, _names(_RULES[name], pa.array([text]))) for name, text in texts.items())
    return [
        (name, target["repository"][0].as_py())
        for name, target in read
        if target["org"][0].is_valid
    ]


def _read(rule: _Rule, spec: pa.Array) -> pa.Table:
    """Read specs by a rule; the org of one that does not fit is null."""
    parts = pc.extract_regex(spec, rule.parts)
    ref = pa.nulls(len(spec), pa.string())
    if "(?P<ref>" in rule.parts:
        ref = pc.utf8_trim(_decode(parts.field("ref")), "/")
        ref = pc.if_else(pc.equal(ref, ""), None, ref)
    return _names(rule, _decode(parts.field("where"))).append_column("ref", ref)


def _names(rule: _Rule, where: pa.Array) -> pa.Table:
    """Names of repositories and their organisations; both null where the rule does not fit."""
    if rule is _RULES["Git"]:
        where = pc.replace_substring_regex(where, _SCP, r"ssh://\1/\2")
    where = pc.replace_substring_regex(where, _TAIL, "")
    match = pc.extract_regex(where, rule.where)
    columns = {group.name: match.field(group.name) for group in match.type}
    for name in columns.keys() & {"scheme", "host"}:
        columns[name] = pc.ascii_lower(columns[name])

    def join(pieces: Sequence[str]) -> pa.Array:
        parts = [columns.get(piece, pa.scalar(piece)) for piece in pieces]
        text = pc.binary_join_element_wise(*parts, "") if len(parts) > 1 else parts[0]
        return pc.if_else(match.is_valid(), text, pa.scalar(None, pa.string()))

    return pa.table(
        {"repository": join(rule.repository), "org": pc.utf8_rtrim(join(rule.org), "/")}
    )


def _decode(texts: pa.Array) -> pa.Array:
    """Undo percent-encoding, as `urllib.parse.unquote` does."""
    return _replace(texts, pc.fill_null(pc.match_substring(texts, "%"), False), unquote)
