"""The section of all pairs: the numbers behind its picture."""

import numpy as np
import xarray as xr

from nwbcompare.analysis.selectivity.ftv_shapes import classify_pairs
from nwbcompare.analysis.selectivity.pairwise_ftv import pairwise_ftv
from nwbcompare.tasks import task_names
from nwbcompare.workflows.section import Results
from nwbcompare.workflows.sections.pairwise_ftv import SECTION


def test_the_picture_of_20_tasks_has_the_numbers_of_all_190_pairs(monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    monkeypatch.setattr("nwbcompare.workflows.sections.pairwise_ftv.plot_pairs", lambda *_, **__: 0)
    monkeypatch.setattr("nwbcompare.workflows.sections.pairwise_ftv.plot_pair", lambda *_, **__: 0)
    values = np.random.default_rng(0).exponential(size=(30, 20))
    tasks = {"task": task_names(), "unit": [f"u{unit}" for unit in range(30)]}
    pairs = pairwise_ftv(xr.Dataset({"task_variance": (("unit", "task"), values)}, coords=tasks))
    results = {"pairs": Results({"pairs": pairs, "shapes": classify_pairs(pairs)})}
    rows = SECTION.summarise("a", results, pictures=True).pictures[0].data
    assert len(rows) == len({(row["task A"], row["task B"]) for row in rows}) == 190
    for row in rows[::37]:
        a, b = (values[:, task_names().index(row[f"task {which}"])] for which in "AB")
        fractions = (a - b) / (a + b)
        np.testing.assert_allclose(row["mean of FTV"], fractions.mean(), rtol=1e-5)
        np.testing.assert_allclose(row["s.d. of FTV"], fractions.std(), rtol=1e-5)
        assert row["active units"] == 30
