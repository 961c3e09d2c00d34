"""What a spec names: from a provider and a spec to a repository, its organisation and a ref.

BinderHub hands the spec of a launch on as it stands in the URL, and each of its providers reads it
in a way of its own. The rules here are those of ``binderhub/repoproviders.py``; where they leave
several spellings for one repository, one is chosen. Columns in, columns out; nothing here counts.
"""

import re
from collections.abc import Mapping, Sequence
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
"""The first schema version that knows Gists; before, they were filed under GitHub.

`GistRepoProvider` kept the name of the class it extends until BinderHub's pull request 802.
"""


class Target(NamedTuple):
    """What a spec names.

    Attributes
    ----------
    provider : str
        Who holds it: as in the event, but for a Gist filed under GitHub.
    repository : str
        Its name; the spec as it stands if that fits nothing the provider knows. Neither holds a
        password, a user or a token: names are made to be shown.
    org : str or None
        Whose it is; None if the spec fits nothing.
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
        Cuts a spec, as it stands in the URL, into ``where`` and ``ref``.
    where : str
        Finds the pieces of a name in the decoded ``where``.
    repository, org : tuple of str
        What makes up the names: groups of `where`, and text between them.
    folded : bool
        Whether names that differ in case alone are one.
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

# GitHub: tokenize_spec splits at the first two slashes, as a branch may have more of them.
_GITHUB = _Rule(_OWNER_NAME, r"^(?P<org>[\w.-]+)/(?P<name>\.*[\w-][\w.-]*)$", *_NAMED, folded=True)
# Gist: user, id, ref and whatever follows; the ref may be missing, there are master/master too.
_GISTS = _Rule(_OWNER_NAME_ONE, _GIST.replace("ID", "[0-9A-Fa-f]+"), *_NAMED, folded=True)
_GISTS_AT_GITHUB = _GISTS._replace(where=_GIST.replace("ID", "[0-9a-f]{20}|[0-9a-f]{32}"))
# GitLab: an escaped namespace of any depth, an escaped ref.
_GITLAB = _Rule(
    _ESCAPED,
    r"^/*(?P<org>[\w.-]+)/(?P<name>[\w.-]+(?:/[\w.-]+)*)$",
    *_NAMED,
    folded=True,
)
# Git: an escaped URL. Who fetches it, and by which password, is no part of what it names.
_GIT = _Rule(
    _ESCAPED,
    r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/@]*@)*"
    r"(?P<host>(?:[^/@:]+|\[[^/@]*\])(?::[0-9]*)?)/+"
    r"(?P<path>(?:(?P<owner>[^/]+)/)?[^/].*)$",
    ("scheme", "://", "host", "/", "path"),
    ("host", "/", "owner"),
    folded=False,
)
# Zenodo, Figshare, Dataverse: a DOI, which is the same in any case (DOI Handbook, 2.4).
_DOI = _Rule(
    _WHOLE,
    r"(?i)^(?:https?://(?:dx\.)?doi\.org/|doi:)?(?P<org>10\.[0-9.]{4,})/(?P<name>[^/\s]\S*)$",
    *_NAMED,
    folded=True,
)
# Hydroshare: whatever holds 32 hexadecimal digits; the last if it holds more.
_HYDROSHARE = _Rule(
    _WHOLE, r"(?s)^.*(?P<name>[0-9a-f]{32}).*$", ("name",), ("www.hydroshare.org",), folded=False
)
# CKAN: the URL of a dataset, escaped or not, below whatever prefix a site has.
_CKAN = _Rule(
    _WHOLE,
    r"^(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?):/{1,2}(?:[^/@]*@)*(?P<host>[^/@]+)"
    r"(?P<prefix>(?:/.*?)?)/dataset/+(?P<name>[^/?#\s]+)",
    ("scheme", "://", "host", "prefix", "/dataset/", "name"),
    ("host",),
    folded=False,
)

_RULES: Mapping[str, _Rule] = {
    "GitHub": _GITHUB,
    "Gist": _GISTS,
    "GitLab": _GITLAB,
    "Zenodo": _DOI,
    "Figshare": _DOI,
    "Dataverse": _DOI,
    "Hydroshare": _HYDROSHARE,
    "CKAN": _CKAN,
    "Git": _GIT,
}
_FOLDED = [provider for provider, rule in _RULES.items() if rule.folded]

_TAIL = r"(?:\.git|/)+$"
_SCP = r"^[\w-]+@([\w.-]+):(.+)$"  # git@host:path, GIT_SSH_PATTERN in BinderHub
_PREFIXES = {
    "gh": "GitHub",
    "gist": "Gist",
    "gl": "GitLab",
    "git": "Git",
    "zenodo": "Zenodo",
    "figshare": "Figshare",
    "dataverse": "Dataverse",
    "hydroshare": "Hydroshare",
    "ckan": "CKAN",
}
"""What stands for a provider in the URL of a launch."""
_LAUNCH = re.compile(f"/v2/({'|'.join(_PREFIXES)})/(.+)")


def resolve(provider: pa.Array, spec: pa.Array, version: pa.Array) -> pa.Table:
    """Find what specs name.

    Parameters
    ----------
    provider, spec : pyarrow.Array of str
        As they are in the events.
    version : pyarrow.Array of int
        Versions of their schema.

    Returns
    -------
    pyarrow.Table
        ``provider``, ``repository``, ``org``, ``ref`` (str), a row a spec, in their order; they are
        as `Target` has them.
    """
    before = pc.and_(pc.equal(provider, "GitHub"), pc.less(version, GIST_SINCE))
    open_rows = np.ones(len(spec), np.bool_)
    places, found = [], []

    def read(name: str, rule: _Rule, among: pa.Array) -> None:
        rows = np.flatnonzero(open_rows & among.to_numpy(zero_copy_only=False))
        if not len(rows):
            return
        target = _read(rule, spec.take(pa.array(rows)))
        fits = target["org"].is_valid().to_numpy()
        open_rows[rows[fits]] = False
        places.append(rows[fits])
        found.append(target.filter(pa.array(fits)).add_column(0, "provider", _repeat(name, fits)))

    read("Gist", _GISTS_AT_GITHUB, before)
    for name, rule in _RULES.items():
        read(name, rule, pc.equal(provider, name))
    rest = np.flatnonzero(open_rows)
    none = pa.nulls(len(rest), pa.string())
    places.append(rest)
    rows = pa.array(rest)
    found.append(
        pa.table([provider.take(rows), spec.take(rows), none, none], names=list(Target._fields))
    )
    order = np.empty(len(spec), np.int64)
    order[np.concatenate(places)] = np.arange(len(spec))
    targets = pa.concat_tables(found).combine_chunks()
    for at, name in enumerate(Target._fields[1:], 1):
        targets = targets.set_column(at, name, _cut(targets[name].combine_chunks()))
    return targets.take(pa.array(order))


def hold_secrets(spec: pa.Array) -> pa.Array:
    """Tell which specs hold a password, a user or a token, as truth values."""
    return pc.fill_null(pc.not_equal(_cut(spec), spec), False)


def _cut(texts: pa.Array) -> pa.Array:
    """Cut what is secret from texts, nearly all of which hold nothing of the kind."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, MAY_HOLD), False)
    if not pc.any(suspect).as_py():
        return texts
    cut = [without_secrets(text) for text in texts.filter(suspect).to_pylist()]
    return pc.replace_with_mask(texts, suspect, pa.array(cut, pa.string()))


def resolve_one(provider: str, spec: str, version: int = GIST_SINCE) -> Target:
    """Find what one spec names.

    Examples
    --------
    >>> resolve_one("GitHub", "ipython/ipython-in-depth/a/branch")
    Target(provider='GitHub', repository='ipython/ipython-in-depth', org='ipython', ref='a/branch')
    >>> resolve_one("Zenodo", "10.5281/zenodo.3242074").org
    '10.5281'
    """
    found = resolve(pa.array([provider]), pa.array([spec]), pa.array([version]))
    return Target(**found.to_pylist()[0])


def keys(provider: pa.Array, repository: pa.Array) -> pa.Array:
    """What names are compared by: the same for those that mean one repository of a provider."""
    folded = pc.is_in(provider, pa.array(_FOLDED))
    return pc.if_else(folded, pc.ascii_lower(repository), repository)


def candidates(text: str) -> list[tuple[str, str]]:
    """Find what a person may mean by a name or an address.

    Parameters
    ----------
    text : str
        ``owner/name``, a DOI, the URL of a repository, or that of a launch.

    Returns
    -------
    list of (str, str)
        Providers, and the names that the text is read as by each; likely ones first. The text
        itself comes last, for what fits nothing.
    """
    text = without_secrets(text.strip())
    found: list[tuple[str, str]] = []
    url = urlsplit(text) if "://" in text else None
    if url is not None:
        path = [part for part in url.path.split("/") if part]
        launch = _LAUNCH.search(url.path)
        if launch is not None:
            found.append(resolve_one(_PREFIXES[launch[1]], launch[2])[:2])
        if url.netloc.casefold() in ("github.com", "www.github.com"):
            found += _named({"GitHub": "/".join(path[:2])})
        if url.netloc.casefold() == "gist.github.com":
            found += _named({"Gist": "/".join(path[:2])})
        if url.netloc.casefold() == "gitlab.com":
            found += _named({"GitLab": url.path.partition("/-/")[0]})
    found += _named(dict.fromkeys(_RULES, text))
    found += [(provider, text) for provider in _RULES]
    return list(dict.fromkeys(found))


def _named(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names as the providers that can read them do."""
    read = ((name, _names(_RULES[name], pa.array([text]))) for name, text in given.items())
    return [
        (name, target["repository"][0].as_py())
        for name, target in read
        if target["org"][0].is_valid
    ]


def _read(rule: _Rule, spec: pa.Array) -> pa.Table:
    """Read specs by a rule; the org of one that does not fit is null."""
    parts = pc.extract_regex(spec, rule.parts)
    where = _decoded(parts.field("where"))
    ref = pa.nulls(len(spec), pa.string())
    if "(?P<ref>" in rule.parts:
        ref = pc.utf8_trim(_decoded(parts.field("ref")), "/")
        ref = pc.if_else(pc.equal(ref, ""), None, ref)
    return _names(rule, where).append_column("ref", ref)


def _names(rule: _Rule, where: pa.Array) -> pa.Table:
    """Names of repositories and their organisations; both null where the rule does not fit."""
    if rule is _GIT:
        where = pc.replace_substring_regex(where, _SCP, r"ssh://\1/\2")
    where = pc.replace_substring_regex(where, _TAIL, "")
    pieces = pc.extract_regex(where, rule.where)
    fits = pieces.is_valid()
    names = {field.name for field in pieces.type}

    def joined(of: Sequence[str]) -> pa.Array:
        columns = [
            _as_compared(piece, pieces.field(piece)) if piece in names else pa.scalar(piece)
            for piece in of
        ]
        text = pc.binary_join_element_wise(*columns, "") if len(columns) > 1 else columns[0]
        return pc.if_else(fits, text, pa.scalar(None, pa.string()))

    return pa.table(
        {"repository": joined(rule.repository), "org": pc.utf8_rtrim(joined(rule.org), "/")}
    )


def _as_compared(piece: str, column: pa.Array) -> pa.Array:
    return pc.ascii_lower(column) if piece in ("scheme", "host") else column


def _decoded(column: pa.Array) -> pa.Array:
    """Undo percent-encoding, as `urllib.parse.unquote` does."""
    escaped = pc.fill_null(pc.match_substring(column, "%"), False)
    if not pc.any(escaped).as_py():
        return column
    texts = [unquote(text) for text in column.filter(escaped).to_pylist()]
    return pc.replace_with_mask(column, escaped, pa.array(texts, pa.string()))


def _repeat(text: str, rows: np.ndarray) -> pa.Array:
    return pa.repeat(text, int(rows.sum()))
