"""Numbers as text, in one form for pages, figures and printed lines."""

from __future__ import annotations

import math

SMALLEST_P = 0.001
"""Smaller p values are written "p < 0.001"; tables' CSV files and JSON have the number."""


def p_text(p: float) -> str:
    """Format a p value; very small ones rest on tails of a distribution that nobody has seen.

    Examples
    --------
    >>> p_text(0.0312), p_text(1e-5), p_text(float("nan"))
    ('p = 0.031', 'p < 0.001', 'no p')
    """
    if math.isnan(p):
        return "no p"
    return "p < 0.001" if p < SMALLEST_P else f"p = {float(p):.2g}"
