"""How the documentation site is built: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

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
html_title = f"dimsefast {release}"
html_theme_options = {
    "source_repository": "https://github.com/dimsefast/dimsefast/",
    "source_branch": "main",
    "source_directory": "docs/",
}
# Docstrings mark code with single backquotes, as Markdown does.
default_role = "code"
# The type `bytes` is not one of the attributes of that name.
suppress_warnings = ["ref.python"]
