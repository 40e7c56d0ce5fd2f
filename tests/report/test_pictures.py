"""Pictures of a page: panels, and the same bytes again."""

from __future__ import annotations

import importlib

from nwbcompare.report.pictures import picture

drawing = importlib.import_module("nwbcompare.report.pictures")


def test_a_picture_has_a_panel_for_each_function_and_hides_the_rest(monkeypatch):
    seen = []
    svg = drawing.as_svg
    monkeypatch.setattr(drawing, "as_svg", lambda figure: seen.append(figure) or svg(figure))
    draws = [lambda ax, k=k: ax.plot([0, k]) for k in range(5)]
    one, two = (picture("x/y", "A caption.", *draws, size=(6, 3), n_rows=2) for _ in range(2))
    assert one == two
    assert (one.name, one.width) == ("x_y", 6)
    axes = seen[0].axes
    assert [len(ax.lines) for ax in axes] == [1] * 5 + [0]
    assert [ax.axison for ax in axes] == [True] * 5 + [False]
    assert one.svg != picture("x", "A caption.", *draws[::-1], size=(6, 3), n_rows=2).svg
