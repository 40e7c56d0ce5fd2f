"""The style of every figure: colours told apart with any colour vision, vector output.

Colours of kinds are Okabe and Ito's; ordered values use matplotlib's cividis, signed ones its
PuOr, whose two ends (purple and orange) every common colour vision tells apart.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nwbcompare.core.files import written_aside

BLUE, SKY, GREEN, PINK = "#0072B2", "#56B4E9", "#009E73", "#CC79A7"
VERMILION, ORANGE, YELLOW, BLACK = "#D55E00", "#E69F00", "#F0E442", "#000000"
GREY, LIGHT_GREY = "#777777", "#BBBBBB"
CATEGORICAL = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK, YELLOW)
"""Colours of kinds, in the order in which they are used; tell more kinds by marks too."""
SEQUENTIAL = "cividis"
DIVERGING = "PuOr_r"
NETWORK_COLOURS = (BLUE, SKY, GREEN, PINK)
RECORDING_COLOUR = VERMILION
NULL_COLOUR = GREY
FTV_EDGES = np.linspace(-1, 1, 21)
STYLE: Any = {
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "nwbcompare",
    "svg.fonttype": "path",
}


def new_figure(
    n_rows: int = 1, n_columns: int = 1, size: tuple[float, float] = (4.0, 3.0), **options: Any
) -> tuple[Figure, Any]:
    """Make a figure of the house style without a window.

    Parameters
    ----------
    n_rows, n_columns
        Axes.
    size
        Width and height (inches).
    **options
        For `matplotlib.figure.Figure.subplots`, such as ``width_ratios``.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure; write it with `save`.
    axes : numpy.ndarray
        ``(row, column)`` of axes.

    Examples
    --------
    >>> figure, axes = new_figure(1, 2)
    >>> axes.shape
    (1, 2)
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def as_svg(figure: Figure) -> bytes:
    """Give a figure as SVG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def save(figure: Figure, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a figure; its suffix says which kind (.svg and .pdf are vectors).

    Parameters
    ----------
    figure
        The figure.
    path
        The file.
    overwrite
        Whether an existing file may be replaced.
    """
    path = Path(path)
    with mpl.rc_context(STYLE), written_aside(path, overwrite=overwrite) as aside:
        if path.suffix == ".svg":
            aside.write_bytes(as_svg(figure))
        else:
            figure.savefig(aside, dpi=150)
    return path
