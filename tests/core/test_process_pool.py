"""Work in processes: what is said of units, order, errors, reasons."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import nwbcompare as nc
from nwbcompare.core.process_pool import run_all
from nwbcompare.workflows.formatting import counted

# -- words ----------------------------------------------------------------------------------------


def test_a_reason_leaves_the_remedy_to_programmers():
    error = nc.InputError("recording", "two animals", "one", "Use split_half_distance.")
    assert error.reason == "Needed: two animals; here: one."


# -- work -----------------------------------------------------------------------------------------


def noisy(x: float) -> float:
    if x > 1:
        warnings.warn(f"{x} units are odd", nc.UnitWarning, stacklevel=1)
    return x**2


def loud() -> None:
    warnings.warn("something else", UserWarning, stacklevel=1)


def test_work_hears_what_is_said_of_units_and_lets_the_rest_pass():
    tasks = [(f"piece {x}", noisy, (x,)) for x in (1, 2, 3)]
    found, heard = run_all(tasks, 1, "work")
    assert found == [1, 4, 9]
    assert heard == ["piece 2: 2 units are odd", "piece 3: 3 units are odd"]
    with pytest.warns(UserWarning, match="something else"):
        assert run_all([("loud", loud, ())], 1, "work") == ([None], [])


def test_work_side_by_side_gives_the_same_in_the_same_order():
    # a function of the library: processes do not know the tests' own
    tasks = [(str(place), counted, (place, "unit")) for place in range(5)]
    assert run_all(tasks, 2, "work") == run_all(tasks, 1, "work")


def test_an_error_in_a_piece_of_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_all([("a", lambda: 1 / 0, ())], 1, "work")


def threads() -> set[int]:
    np.linalg.norm(np.ones((3, 3)))
    return {library["num_threads"] for library in threadpool_info()}


def test_linear_algebra_has_one_thread_in_whatever_process():
    for n_jobs in (1, 2):
        assert run_all([("a", threads, ()), ("b", threads, ())], n_jobs)[0] == [{1}, {1}]
