"""What a spec names is what BinderHub would have fetched."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daskbinder.model.specs import candidates, keys, resolve, resolve_one
from daskbinder.redaction import without_secrets
from support.census import FOLDED, KNOWN, lower, named

HEX = "256c3ad937af9ec7d4c65a29e5b6d454"

READ = [
    ("GitHub", "ipython/ipython-in-depth/master", "ipython/ipython-in-depth", "master"),
    ("GitHub", "owner/name/feature/with/slashes", "owner/name", "feature/with/slashes"),
    ("GitHub", "owner/name.git/main/", "owner/name", "main"),
    ("GitHub", "owner/name.git.git/main", "owner/name", "main"),
    ("GitHub", "owner/name/feature%2Fbinder", "owner/name", "feature/binder"),
    ("GitHub", "owner/.github/main", "owner/.github", "main"),
    ("GitHub", "owner/name", "owner/name", None),
    ("GitHub", "owner/name/", "owner/name", None),
    ("Gist", f"ELC/{HEX}", f"ELC/{HEX}", None),
    ("Gist", f"ELC/{HEX}/", f"ELC/{HEX}", None),
    ("Gist", f"ELC/{HEX}/master/master", f"ELC/{HEX}", "master"),
    ("Gist", f"https%3A%2F%2Fgist.github.com%2FELC/{HEX}", f"ELC/{HEX}", None),
    ("GitLab", "group%2Fproject/main", "group/project", "main"),
    (
        "GitLab",
        "group%2Fsub%2Fdeep%2Fproject.git/fix%2Fsetup",
        "group/sub/deep/project",
        "fix/setup",
    ),
    ("GitLab", "group%2Fproject%2F/fix/setup", "group/project", "fix/setup"),
    (
        "Git",
        "https%3A%2F%2FGit.Example.org%2Fa%2FB.git/c0ffee",
        "https://git.example.org/a/B",
        "c0ffee",
    ),
    ("Git", "git%40example.org%3Aa%2Fb/feature%2Fx", "ssh://example.org/a/b", "feature/x"),
    ("Git", "https%3A%2F%2Fme%3Asecret%40example.org%2Fb/main", "https://example.org/b", "main"),
    ("Zenodo", "10.5281/zenodo.3242074", "10.5281/zenodo.3242074", None),
    ("Zenodo", "10.5281/zenodo.3242074/", "10.5281/zenodo.3242074", None),
    ("Figshare", "10.6084/m9.figshare.9782777.v1", "10.6084/m9.figshare.9782777.v1", None),
    ("Dataverse", "10.7910/DVN/TJCLKP", "10.7910/DVN/TJCLKP", None),
    ("Hydroshare", HEX, HEX, None),
    ("Hydroshare", f"https%3A%2F%2Fwww.hydroshare.org%2Fresource%2F{HEX}%2F", HEX, None),
    (
        "CKAN",
        "https%3A%2F%2FCKAN.org%2Fen%2Fdataset%2Fa-b",
        "https://ckan.org/en/dataset/a-b",
        None,
    ),
    ("CKAN", "https:/ckan.org/dataset/a/history?activity_id=1", "https://ckan.org/dataset/a", None),
]


@pytest.mark.parametrize(("provider", "spec", "repository", "ref"), READ)
def test_a_spec_is_read(provider: str, spec: str, repository: str, ref: str | None) -> None:
    found = resolve_one(provider, spec)
    assert (found.provider, found.repository, found.ref) == (provider, repository, ref)
    assert found.org


def test_gists_that_were_filed_under_github_are_gists() -> None:
    for spec in (
        f"minrk/{HEX}",
        f"minrk/{HEX}/master",
        f"https%3A%2F%2Fgist.github.com%2Fminrk/{HEX}",
    ):
        found = resolve_one("GitHub", spec, version=1)
        assert (found.provider, found.repository) == ("Gist", f"minrk/{HEX}")
    assert resolve_one("GitHub", f"minrk/{HEX}/master", version=2).provider == "GitHub"


@pytest.mark.parametrize(
    ("provider", "spec"),
    [
        ("GitHub", ""),
        ("GitHub", "owner"),
        ("GitHub", "owner//main"),
        ("GitHub", "owner/../main"),
        ("GitHub", "owner/.git/main"),
        ("GitHub", "ö/ü/main"),
        ("GitLab", "group/project/main"),
        ("Git", "no%20address/main"),
        ("Zenodo", "zenodo.3242074"),
        ("Hydroshare", "0123"),
        ("CKAN", "https://ckan.org/data/a"),
        ("New", "owner/name/main"),
    ],
)
def test_what_fits_nothing_is_kept(provider: str, spec: str) -> None:
    assert resolve_one(provider, spec) == (provider, spec, None, None)


# Any text ---------------------------------------------------------------------------------------

NASTY = st.text() | st.text("ab./%2Fgit:@~ \n?#-_A0fé", max_size=40)
PIECES = st.lists(
    st.sampled_from(
        [
            *("owner", "Na.me", "name.git", ".git", "..", "", "main", "master", HEX, HEX[:20]),
            *("https%3A%2F%2Fgist.github.com%2FELC", "group%2Fsub%2Fname", "a%2Fb.git%2F"),
            *("https%3A%2F%2Fme%3Apw%40Host.org%2Fa%2FB.git", "git%40h.org%3Aa%2Fb", "10.5281"),
            *("zenodo.1", "https:", "ckan.org", "dataset", "d?x=1", "%ff", "%2525", "feature%2Fx"),
        ]
    ),
    max_size=6,
).map("/".join)
PROVIDERS = st.sampled_from([*KNOWN, "Tomorrow", ""])


@settings(max_examples=1000)
@given(st.lists(st.tuples(PROVIDERS, NASTY | PIECES, st.integers(1, 6)), min_size=1, max_size=20))
@example([("GitHub", f"owner/{HEX}/main/more", 1)])
def test_any_specs_are_read_as_the_census_reads_them(rows: list[tuple[str, str, int]]) -> None:
    columns = zip((pa.string(), pa.string(), pa.int64()), zip(*rows, strict=True), strict=False)
    found = resolve(*(pa.array(column, dtype) for dtype, column in columns))
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        tuple(named(*row)) for row in rows
    ]


@given(PROVIDERS, NASTY | PIECES, st.integers(1, 6))
def test_a_name_is_read_as_itself(provider: str, spec: str, version: int) -> None:
    found = resolve_one(provider, spec, version)
    if found.org is None:
        assert found == (provider, without_secrets(spec), None, None)
    else:
        assert (found.provider, found.repository) in candidates(found.repository)
        assert found.org
        assert found.ref is None or found.ref.strip("/") == found.ref != ""


@given(PROVIDERS, NASTY | PIECES, st.sampled_from(["/", "//", ".git", ".git/"]))
def test_an_end_that_means_nothing_changes_nothing(provider: str, where: str, tail: str) -> None:
    if provider in ("GitHub", "Gist") and where.count("/") != 1:
        return
    if provider in ("Git", "GitLab"):
        where, tail = where.replace("/", "%2F"), tail.replace("/", "%2F")
    plain, ended = (resolve_one(provider, text) for text in (where, where + tail))
    if plain.org is not None:
        assert ended[:3] == plain[:3]


@given(PROVIDERS, st.tuples(NASTY | PIECES, NASTY | PIECES))
def test_keys_tell_case_where_the_provider_does(provider: str, names: tuple[str, str]) -> None:
    made = keys(pa.array([provider] * 2), pa.array(names)).to_pylist()
    folds = provider in FOLDED
    assert (made[0] == made[1]) == (
        lower(names[0]) == lower(names[1]) if folds else names[0] == names[1]
    )


def test_no_password_is_kept() -> None:
    for spec in (
        "https%3A%2F%2Fme%3Asecret%40example.org%2Fa%2Fb/main",
        "https%3A%2F%2Fsecret%40example.org%2Fa/main",
        "ssh%3A%2F%2Fgit%3Asecret%40example.org%2Fa/main",
        "https%3A%2F%2Fa%40b%3Asecret%40example.org%2Fa/main",
    ):
        found = resolve_one("Git", spec)
        assert found.org is not None
        assert "secret" not in str(found)
    assert "secret" not in str(resolve_one("CKAN", "https://me:secret@ckan.org/dataset/a"))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("owner/name", ("GitHub", "owner/name")),
        ("https://github.com/owner/name", ("GitHub", "owner/name")),
        ("https://github.com/owner/name.git", ("GitHub", "owner/name")),
        ("https://github.com/owner/name/tree/main/a", ("GitHub", "owner/name")),
        (f"https://gist.github.com/ELC/{HEX}#file-a", ("Gist", f"ELC/{HEX}")),
        ("https://gitlab.com/a/b/c/-/tree/main", ("GitLab", "a/b/c")),
        ("https://doi.org/10.5281/zenodo.1", ("Zenodo", "10.5281/zenodo.1")),
        ("https://mybinder.org/v2/gh/owner/name/a/b?urlpath=lab", ("GitHub", "owner/name")),
        ("https://mybinder.org/v2/gl/a%2Fb/main", ("GitLab", "a/b")),
        ("https://hub.example.org/binder/v2/gist/ELC/" + HEX + "/", ("Gist", f"ELC/{HEX}")),
    ],
)
def test_an_address_is_understood(text: str, first: tuple[str, str]) -> None:
    assert candidates(text)[0] == first
