"""Numbers as text, in one form for pages, figures and printed lines."""

from __future__ import annotations

SMALLEST_P = 0.0005
"""Smaller p values are written "p < 0.001"; tables and JSON have the number."""


def p_text(p: float) -> str:
    """Format a p value; very small ones rest on tails of a distribution that nobody has seen.

    Examples
    --------
    >>> p_text(0.0312), p_text(1e-5)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < SMALLEST_P else f"p = {float(p):.2g}"
