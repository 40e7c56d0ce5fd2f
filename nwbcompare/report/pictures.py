"""Pictures of a page: panels drawn by plot functions in the house style, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl

from nwbcompare.core.files import file_name
from nwbcompare.plotting.style import STYLE, as_svg, new_figure
from nwbcompare.report.page_section import Picture, Row


def picture(
    name: str,
    caption: str,
    *draw: Callable[[Any], object],
    size: tuple[float, float],
    n_rows: int = 1,
    data: Sequence[Row] = (),
    further: Mapping[str, Sequence[Row]] | None = None,
    banner: str = "",
    **options: Any,
) -> Picture:
    """Plot a picture of one or more panels.

    Parameters
    ----------
    name, caption
        Name of its file, and its caption.
    *draw
        A function for each panel, row by row, which plots on the axes that it is called with.
    size
        Width and height (inches).
    n_rows
        Rows of panels.
    data
        Numbers behind the picture, a row for each mark.
    further
        Numbers of another kind, by the name of their table.
    banner
        A warning over the panels.
    **options
        For `nwbcompare.plotting.new_figure`.
    """
    n_columns = -(-len(draw) // n_rows)
    figure, axes = new_figure(n_rows, n_columns, size, **options)
    with mpl.rc_context(STYLE):
        for ax, one in zip(axes.flat, draw, strict=False):
            one(ax)
        # the last row may have panels to spare
        for ax in axes.flat[len(draw) :]:
            ax.axis("off")
        if banner:
            # in the figure, so that a copy of it still says that its recording is simulated
            figure.suptitle(banner, color="#B00020", fontweight="bold")
    # a source's name may have any character
    return Picture(
        name=file_name(name),
        svg=as_svg(figure),
        caption=f"{banner}. {caption}" if banner else caption,
        width=size[0],
        data=data,
        further=further or {},
    )
