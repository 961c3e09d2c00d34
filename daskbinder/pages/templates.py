"""Templates and files of the pages, and links to repositories.

Names of repositories, members and providers come from strangers: templates escape everything, and
links lead to known hosts only.
"""

from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

_HUB = "https://mybinder.org/v2"
_PREFIXES = {
    "GitHub": "gh",
    "Gist": "gist",
    "GitLab": "gl",
    "Zenodo": "zenodo",
    "Figshare": "figshare",
    "Dataverse": "dataverse",
}
"""Providers in the addresses of a BinderHub (https://binderhub.readthedocs.io, API)."""

_HOSTS = {
    "GitHub": "https://github.com/",
    "Gist": "https://gist.github.com/",
    "GitLab": "https://gitlab.com/",
    "Zenodo": "https://doi.org/",
    "Figshare": "https://doi.org/",
    "Dataverse": "https://doi.org/",
}


@cache
def read_web(name: str) -> str:
    """Read a style sheet, a script or a template from the folder ``web``."""
    return (files("daskbinder.pages") / "web" / name).read_text("utf-8")


@cache
def load_template(name: str) -> Template:
    """Load a template; it escapes everything that it fills in."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(read_web)
    )
    return environment.get_template(name)


def link_to(provider: str, repository: str, *, is_valid: bool = True) -> str | None:
    """Link to a repository, percent-encoded.

    Returns None for a provider without a known host, and for a name that is not valid there.
    """
    host, path = _HOSTS.get(provider), _path_of(repository)
    return None if host is None or path is None or not is_valid else host + path


def launch_on_mybinder(provider: str, repository: str) -> str | None:
    """Link that launches a repository on mybinder.org; None where `link_to` has none."""
    prefix, path = _PREFIXES.get(provider), _path_of(repository)
    if prefix is None or path is None:
        return None
    if prefix == "gl":
        path = path.replace("/", "%2F")
    return f"{_HUB}/{prefix}/{path}" + ("/HEAD" if prefix in ("gh", "gist", "gl") else "")


def _path_of(repository: str) -> str | None:
    """Percent-encode a name for an address; None if it would lead elsewhere."""
    parts = repository.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        return None
    return "/".join(quote(part, safe="") for part in parts)
