"""Templates and files of the pages, and links to repositories.

Names of repositories, members and providers come from strangers: templates escape everything, and
links lead to known hosts only.
"""

from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

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
    host = _HOSTS.get(provider)
    parts = repository.split("/")
    if host is None or not is_valid or not all(parts) or {".", ".."} & set(parts):
        return None
    return host + "/".join(quote(part, safe="") for part in parts)
