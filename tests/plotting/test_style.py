"""Figures as files: the same bytes again, in the format of their suffix."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.plotting import new_figure, save
from nwbcompare.plotting.style import as_svg, interval_bars, slanted


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


def test_error_bars_reach_the_bounds_and_are_never_negative():
    value, low, high = np.array([0.5, 1.0, 0.2]), np.array([0.4, 1.0 + 1e-12, np.nan]), np.ones(3)
    bars = interval_bars(value, low, high)
    np.testing.assert_allclose(bars, [[0.1, 0, 0], [0.5, 0, 0.8]], atol=1e-11)
    assert (bars >= 0).all()


def test_names_are_slanted_where_there_are_many():
    assert not slanted(range(3))
    assert slanted(range(4)) == slanted(range(1), most_level=0)


def test_powers_of_ten_are_numbers_on_logarithmic_axes():
    figure, axes = new_figure(1, 2)
    axes[0, 0].loglog([0.01, 1000], [1, 1e6])
    # within a decade matplotlib labels the numbers between powers
    axes[0, 1].semilogx([2, 7], [0, 1])
    # text is drawn as paths, and matplotlib leaves the words as comments
    words = re.findall(r"<!-- (.*?) -->", as_svg(figure).decode())
    assert {"0.01", "1", "1000", "1e+06", "3", "6"} <= set(words)
    assert not any("$" in word or "mathdefault" in word for word in words)


@pytest.mark.parametrize(
    "name",
    ["\x1b[31mred", "nul\x00", "--> <!-- & <b>", "\ud800", "\ufffe", "$\\frac$", "a$b$c", "]]>"],
)
def test_any_name_makes_a_figure_that_is_well_formed(name, tmp_path):
    figure, axes = new_figure()
    ax = axes[0, 0]
    ax.plot([0, 1], label=name)
    ax.set_xticks([0, 1], [name, "b"])
    ax.set_yticks([0])
    ax.set_yticklabels([name])
    ax.text(0, 0, name, gid="a")
    ax.set_title(name)
    ax.legend(title=name)
    root = ET.fromstring(as_svg(figure))  # noqa: S314 - our own bytes
    assert root.tag.endswith("svg")
    save(figure, tmp_path / "a.pdf")
