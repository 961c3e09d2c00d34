"""Settings of the documentation: ``sphinx-build -W --keep-going docs build/docs``.

Nothing is fetched, neither by the build nor by whoever reads the pages.
"""

import re
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from sphinx.application import Sphinx

from daskbinder._version import __version__

ROOT = Path(__file__).parents[1]

project = "daskbinder"
author = "The daskbinder developers"
release = version = __version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx_click", "sphinx_copybutton"]

default_role = "py:obj"  # a name in backticks in a docstring is a link, if it leads anywhere
smartquotes = False  # they turn the two dashes of an option into one

myst_heading_anchors = 3
autodoc_typehints = "none"  # the sections of parameters have them
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "pydata_sphinx_theme"
html_title = "daskbinder"
html_favicon = "favicon.svg"
html_sidebars = {"tutorial": []}  # a page without neighbours
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
html_context = {"default_mode": "auto"}
project_copyright = f"{author}, BSD-3-Clause"

ELSEWHERE = {
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
    "benchmarks": "benchmarks/README.md",
}
"""Pages whose text is a file outside this folder; the file here only links to it."""

_LINK = re.compile(r"\[([^]]*)\]\(([^):\s]+)\)")


def lead_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Read a page from where it stands, and have its relative links lead to pages of the site."""
    file = ELSEWHERE.get(name, f"docs/{name}.md")
    if name in ELSEWHERE:
        source[0] = (ROOT / file).read_text("utf-8")
        app.env.note_dependency(str(ROOT / file), docname=name)
    source[0] = _LINK.sub(lambda found: _link(file, *found.groups()), source[0])


def _link(file: str, text: str, destination: str) -> str:
    """Write a link of a file for the site; pages that the site lacks become plain text."""
    path, mark, anchor = destination.partition("#")
    target = normpath(f"{Path(file).parent}/{path}") if path else file
    pages = {file: f"{page}.md" for page, file in ELSEWHERE.items()}
    if target.endswith(".md") and target not in pages and not target.startswith("docs/"):
        return text
    return f"[{text}]({pages.get(target) or relpath(target, 'docs')}{mark}{anchor})"


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the above."""
    app.connect("source-read", lead_to_pages)
    return {"parallel_read_safe": True}
