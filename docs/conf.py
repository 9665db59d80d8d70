"""Sphinx's configuration of the documentation, which ``make docs`` builds without a network."""

import importlib.util
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent / "scripts")]
os.environ["PYTHONPATH"] = str(DOCS.parent / "scripts")  # of the tutorial's process

import collapse  # noqa: E402

project = "collapse"
author = "The collapse authors"
copyright = f"2026, {author}"
version = release = collapse.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "page_directives",
]
# Files *.rst are captions of the workflow's report, which Snakemake renders.
exclude_patterns = ["*.rst", "_build", "_ext"]
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
nitpicky = True
highlight_language = "none"  # blocks without a language are commands, and what they print
# A class as the default of a field, which numpydoc takes for a method.
nitpick_ignore = [("py:obj", "workload")]

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "none"  # numpydoc has them in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "collapse"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
html_show_sourcelink = False
# MathJax comes with the site, in one file that draws equations as SVG and so needs no fonts.
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
if _mathjax is None or _mathjax.origin is None:
    sys.exit(
        "error: sphinx-mathjax-offline is not installed: make docs installs envs/locks/docs.txt"
    )
html_static_path.append(str(Path(_mathjax.origin).parent / "static" / "mathjax" / "tex-svg.js"))
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}
