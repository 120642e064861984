"""How the documentation site is built: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

project = "dimsefast"
author = "the dimsefast developers"
copyright = "the dimsefast developers"
version = release = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Attributes are listed with their class: the fields have descriptions of their own.
napoleon_use_ivar = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"dimsefast {release}"
html_theme_options = {
    "light_css_variables": {"code-font-size": "75%"},
    "source_repository": "https://github.com/dimsefast/dimsefast/",
    "source_branch": "main",
    "source_directory": "docs/",
}
# Docstrings mark code with single backquotes, as Markdown does.
default_role = "code"
# The type `bytes` is not one of the attributes of that name.
suppress_warnings = ["ref.python"]


def skipped(_app: Any, _what: str, _name: str, member: object, skip: bool, _options: Any) -> bool:
    """Leaves out the fields of named tuples: they are described with their class."""
    return skip or str(getattr(member, "__doc__", "")).startswith("Alias for field number")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skipped)
