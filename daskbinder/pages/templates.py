"""What the explorer and the report have in common: templates, numbers, and text of strangers.

Names of repositories, members and providers come from strangers. Templates escape all they are
given; links lead to known hosts only.
"""

from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined

from daskbinder.text import long_date

_HOSTS = {
    "GitHub": "https://github.com/",
    "Gist": "https://gist.github.com/",
    "GitLab": "https://gitlab.com/",
    "Zenodo": "https://doi.org/",
    "Figshare": "https://doi.org/",
    "Dataverse": "https://doi.org/",
}


@cache
def web(name: str) -> str:
    """Text of a file of the pages."""
    return (files("daskbinder.pages") / "web" / name).read_text("utf-8")


@cache
def environment() -> Environment:
    """Templates, which escape whatever they are given."""
    made = Environment(autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(web))
    made.filters["long_date"] = long_date
    return made


def link(provider: str, repository: str, *, fits: bool = True) -> str | None:
    """Address of a repository on a known host.

    Parameters
    ----------
    provider, repository : str
        Who holds it, and its name there.
    fits : bool
        Whether the name is one that the provider knows.

    Returns
    -------
    str or None
        None for a provider without a known host, and for a name that fits nothing.
    """
    host = _HOSTS.get(provider)
    parts = repository.split("/")
    if host is None or not fits or not all(parts) or {".", ".."} & set(parts):
        return None
    return host + "/".join(quote(part, safe="") for part in parts)
