"""What a spec names is what BinderHub would have fetched."""

import pytest

from daskbinder.spec import resolve_one

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
