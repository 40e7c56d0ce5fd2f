"""Figures as files: the same bytes again, in the format of their suffix."""

from __future__ import annotations

import pytest

import nwbcompare as nc
from nwbcompare.plotting import new_figure, save
from nwbcompare.plotting.style import as_svg


def test_figures_are_the_same_bytes_again_and_are_saved_by_their_suffix(tmp_path):
    def figure():
        made, axes = new_figure(1, 2, (4, 2), width_ratios=(3, 1))
        axes[0, 0].plot([0, 1], label="line")
        axes[0, 0].legend()
        return made

    assert as_svg(figure()) == as_svg(figure())
    assert b"<dc:date>" not in as_svg(figure())
    for suffix, start in ((".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")):
        path = save(figure(), tmp_path / f"figure{suffix}")
        assert path.read_bytes().startswith(start)
    assert (tmp_path / "figure.svg").read_bytes() == as_svg(figure())
    with pytest.raises(nc.InputError, match="--overwrite"):
        save(figure(), tmp_path / "figure.svg")
    assert save(figure(), tmp_path / "figure.svg", overwrite=True).is_file()
