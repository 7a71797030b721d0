"""Sphinx configuration: `python -m sphinx -W -b html docs docs/_build/html`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import lmcma
from lmcma.termination import PROFILES, StopRules

project = "lmcma"
author = copyright = "The lmcma developers"
version = release = lmcma.__version__

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks hold their outputs; the test run executes them
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the docstrings
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "lmcma"
html_static_path = ["_static"]
html_show_sourcelink = False
html_css_files = ["wide.css"]
html_sidebars = {"**": []}  # one level of pages: the header lists them all
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 8,
}


class Table(SphinxDirective):
    """A table made from the package while the docs are built."""

    head: ClassVar[tuple[str, ...]]

    def rows(self) -> list[tuple[str, ...]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        lines = [self.head, ("---",) * len(self.head), *self.rows()]
        text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return self.parse_text_to_nodes(text)


class MethodsTable(Table):
    """The registry."""

    head = ("method", "when", "settings", "cost", "reference")

    def rows(self) -> list[tuple[str, ...]]:
        return [
            (f"`{m.name}`", m.summary, m.settings, m.cost, m.reference.replace("O(", "O\\("))
            for m in lmcma.methods().rows()
        ]


class StopProfiles(Table):
    """The rules of every stop profile; a dash where a rule is off."""

    head = ("rule", *(f"`{name}`" for name in PROFILES))

    def rows(self) -> list[tuple[str, ...]]:
        return [
            (f"`{field.name}`", *(self._text(getattr(profile, field.name)) for profile in PROFILES.values()))
            for field in dataclasses.fields(StopRules)
        ]

    @staticmethod
    def _text(value: Any) -> str:
        if value is None or value is False:
            return "–"
        return "on" if value is True else f"`{value}`" if isinstance(value, str) else f"{value:g}"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("methods-table", MethodsTable)
    app.add_directive("stop-profiles", StopProfiles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
