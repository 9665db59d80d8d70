"""The extension of Sphinx that puts generated tables and diagrams into pages, and equations."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import page_diagrams
import page_tables


class Generated(SphinxDirective):
    """A table of `page_tables.TABLES`, by its name and arguments."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the parsed table."""
        name, *arguments = self.arguments[0].split()
        return self.parse_text_to_nodes(page_tables.TABLES[name](*arguments))


class Diagram(SphinxDirective):
    """A picture of `page_diagrams.DIAGRAMS`, by its name and arguments, with its caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture with its caption."""
        name, *arguments = self.arguments[0].split()
        figure = nodes.figure("", classes=["diagram"])
        figure += nodes.raw("", page_diagrams.DIAGRAMS[name](*arguments), format="html")
        if self.content:
            figure += nodes.caption("", "", *self.parse_inline("\n".join(self.content))[0])
        return [figure]


def keep_numbers(app: Sphinx, document: nodes.document) -> None:
    r"""Leave equations as they are, because Sphinx would put those of several lines into a split.

    In there MathJax knows no ``\tag``, with which the pages number their equations.
    """
    for equation in document.findall(nodes.math_block):
        equation["no-wrap"] = True
        equation.children = [nodes.Text(rf"\[{equation.astext()}\]")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives ``generated`` and ``diagram``."""
    app.add_directive("generated", Generated)
    app.add_directive("diagram", Diagram)
    app.connect("doctree-read", keep_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
