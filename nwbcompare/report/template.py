"""HTML from the templates of the package, with one style sheet."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from nwbcompare.core.plain_text import plain_text
from nwbcompare.report.page_section import columns, evidence_text, number_text, text_columns


def render(template: str, **contents: Any) -> str:
    """Return the HTML of a template; a variable that it lacks is an error.

    Parameters
    ----------
    template
        File name of the template.
    **contents
        Its variables.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        # names of sources and files may contain < and &
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    functions = {f.__name__: f for f in (evidence_text, number_text, columns, text_columns)}
    html = environment.get_template(template).render(css=_text("page.css"), **functions, **contents)
    return plain_text(html)


def _text(name: str) -> str:
    return files("nwbcompare.report").joinpath(name).read_text(encoding="utf-8")
