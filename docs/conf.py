"""The pages of this folder as a site: ``make docs`` writes it to ``build/site``."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sphinx.application import Sphinx

from sharekit.core.provenance import __version__

ROOT = Path(__file__).parents[1]
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Homepage"]

project = "sharekit"
author = "The sharekit authors"
version = release = __version__
html_title = f"sharekit {__version__}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Everything that a page loads comes with it: fonts are the reader's own, scripts and styles ours.
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_domain_indices = False
smartquotes = False  # an option is --map, and a value is in straight quotes
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# Pages are read on the site and in the repository alike, so links name files and headings.
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
maximum_signature_line_length = 90
napoleon_google_docstring = False
napoleon_use_param = napoleon_use_rtype = False


def link_to_repository(_: Sphinx, name: str, source: list[str]) -> None:
    """Let links that leave this folder lead to the repository, whose address is in one place."""
    up = "../" * (name.count("/") + 1)
    source[0] = source[0].replace(f"]({up}", f"]({HOME}/blob/main/")


def setup(app: Sphinx) -> None:
    """Say that pages may be changed when they are read."""
    app.connect("source-read", link_to_repository)
