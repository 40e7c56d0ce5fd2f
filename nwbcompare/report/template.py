"""Pages from templates, with one style sheet."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from nwbcompare.report.page_section import said, shown


def render(template: str, **contents: Any) -> str:
    """Fill a template of the package; what it does not get is an error.

    Parameters
    ----------
    template
        Its file name.
    **contents
        What it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(template)
    return page.render(css=_text("page.css"), said=said, shown=shown, **contents)


def _text(name: str) -> str:
    return files("nwbcompare.report").joinpath(name).read_text(encoding="utf-8")
