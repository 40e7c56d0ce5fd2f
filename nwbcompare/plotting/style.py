"""Style of all figures: colours, marks, names, and vector output.

Colours are distinguishable with any common colour vision: those of categories are Okabe & Ito's,
ordered values use matplotlib's cividis, and signed values its PuOr (purple and orange ends).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter, LogFormatter, LogFormatterMathtext

from nwbcompare.core.files import written_aside
from nwbcompare.core.plain_text import plain_text

Array = npt.NDArray[np.float64]
BLUE, SKY, GREEN, PINK = "#0072B2", "#56B4E9", "#009E73", "#CC79A7"
VERMILION, ORANGE, YELLOW, BLACK = "#D55E00", "#E69F00", "#F0E442", "#000000"
GREY, LIGHT_GREY = "#777777", "#BBBBBB"
CATEGORICAL = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK, YELLOW)
"""Colours of categories, in order of use; add marks for more categories."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Marks of categories, in order of use."""
SEQUENTIAL = "cividis"
DIVERGING = "PuOr_r"
NETWORK_COLOURS = (BLUE, SKY, GREEN, PINK)
RECORDING_COLOUR = VERMILION
NULL_COLOUR = GREY
# 20 bins, as in the published histograms of FTV
FTV_EDGES = np.linspace(-1, 1, 21)
STYLE: Any = {
    "font.size": 9,
    "font.family": "sans-serif",
    # comes with matplotlib: figures do not depend on the fonts of a machine
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    # ids in SVG are random without a salt, and equal figures would differ
    "svg.hashsalt": "nwbcompare",
    # outlines look alike where the font is missing
    "svg.fonttype": "path",
    # a dollar sign in a name is a dollar sign
    "text.parse_math": False,
}


def new_figure(
    n_rows: int = 1, n_columns: int = 1, size: tuple[float, float] = (4.0, 3.0), **options: Any
) -> tuple[Figure, Any]:
    """Return a new figure in the style of this package, without a window.

    Parameters
    ----------
    n_rows, n_columns
        Numbers of rows and columns of axes.
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
        # not by pyplot, which keeps every figure in memory and may open a window
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def as_svg(figure: Figure) -> bytes:
    """Return a figure as SVG; equal figures result in equal bytes.

    Examples
    --------
    >>> as_svg(new_figure()[0])[:5]
    b'<?xml'
    """
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        _write_plain(figure)
        # without a date, so that equal figures have equal bytes
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def save(figure: Figure, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a figure to a file, in the format of its suffix (.svg and .pdf are vector formats).

    Parameters
    ----------
    figure
        The figure.
    path
        The file.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    pathlib.Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(new_figure()[0], f"{folder}/figure.svg").name
    'figure.svg'
    """
    path = Path(path)
    with mpl.rc_context(STYLE), written_aside(path, overwrite=overwrite) as aside:
        if path.suffix == ".svg":
            aside.write_bytes(as_svg(figure))
        else:
            _write_plain(figure)
            figure.savefig(aside, dpi=150)
    return path


def _write_plain(figure: Figure) -> None:
    """Make the texts of a figure plain: no control characters in SVG, no formulas in names."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            # powers of ten are formulas, which would be printed as their source
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(LogFormatter())
                continue
            # numbers have none, and labels of ticks are made again at every drawing
            if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
                continue
            labels = [label.get_text() for label in axis.get_ticklabels()]
            plain = [plain_text(label) for label in labels]
            if plain != labels:
                axis.set_ticks(axis.get_ticklocs(), labels=plain)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        if (plain_one := plain_text(text.get_text())) != text.get_text():
            text.set_text(plain_one)


def display_name(name: str, names: Mapping[str, str] | None) -> str:
    """Return the display name of a task, regime or factor; without one, its own name.

    Examples
    --------
    >>> display_name("fdgo", {"fdgo": "Go"}), display_name("dm1", None)
    ('Go', 'dm1')
    """
    return (names or {}).get(name, name)


def slanted(labels: Sequence[object], most_level: int = 3) -> dict[str, Any]:
    """Return options of tick labels, which are slanted where more than a few would overlap.

    Examples
    --------
    >>> slanted("abc"), slanted("abcd")["rotation"]
    ({}, 30)
    """
    if len(labels) <= most_level:
        return {}
    # anchored at their ends, so that each text points at its tick
    return {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}


def interval_bars(value: Array, low: Array, high: Array) -> Array:
    """Return the lengths of error bars ``(2, ...)``; 0 where an interval is unknown (NaN).

    Examples
    --------
    >>> interval_bars(np.array([1.0]), np.array([0.5]), np.array([np.nan])).tolist()
    [[0.5], [0.0]]
    """
    # rounding may leave a bound on the wrong side of its value, which matplotlib rejects
    bars: Array = np.maximum(np.nan_to_num([value - low, high - value]), 0.0)
    return bars


def source_colour(result: xr.Dataset) -> str:
    """Return the colour of a source: one for recordings, one for networks.

    Examples
    --------
    >>> source_colour(xr.Dataset(attrs={"source": "recording"})) == RECORDING_COLOUR
    True
    """
    return RECORDING_COLOUR if result.attrs.get("source") == "recording" else BLUE


def jitter(number: int) -> Array:
    """Return offsets from -0.5 to 0.5 that keep points apart and do not follow their values.

    Multiples of the golden ratio are evenly spread for any number of points, and reproducible.

    Examples
    --------
    >>> jitter(3).round(3).tolist()
    [-0.5, 0.118, -0.264]
    """
    return (np.arange(number, dtype=np.float64) * 0.618034) % 1 - 0.5


def ftv_shares(values: npt.ArrayLike, number: int | None = None) -> Array:
    """Compute the share of finite values in each of the 20 bins of FTV.

    Parameters
    ----------
    values
        FTV of units; NaN is left out.
    number
        Denominator of the shares; by default the number of finite values.

    Examples
    --------
    >>> ftv_shares([-1.0, 1.0, np.nan])[[0, -1]].tolist()
    [0.5, 0.5]
    """
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    counts = np.histogram(finite, bins=FTV_EDGES)[0]
    # without finite values shares are 0, not NaN
    return counts / max(finite.size if number is None else number, 1)
