import json

import numpy as np
import pytest

from nwbcompare.core.errors import DamagedCacheError, InputError
from nwbcompare.core.partial_results import resumed_rows


class Computation:
    """Rows ``[i, random(i)]``, and the row numbers that were asked for."""

    def __init__(self, fail_at=None):
        self.calls = []
        self.fail_at = fail_at

    def __call__(self, rows):
        if self.fail_at in rows:
            raise KeyboardInterrupt
        self.calls.append(list(rows))
        return [[i, np.random.default_rng(i).random()] for i in rows]

    def table(self, path=None, n_rows=7, parameters=None):
        return resumed_rows(
            path, parameters or {"seed": 1}, n_rows, self, at_once=3, description="rows"
        )


WHOLE = Computation().table()


def test_rows_are_computed_a_few_at_a_time():
    computation = Computation()
    np.testing.assert_array_equal(computation.table(), WHOLE)
    assert computation.calls == [[0, 1, 2], [3, 4, 5], [6]]


def test_an_interrupted_computation_continues_with_the_same_bits(tmp_path):
    path = tmp_path / "rows.json"
    with pytest.raises(KeyboardInterrupt):
        Computation(fail_at=4).table(path)
    resumed = Computation()
    np.testing.assert_array_equal(resumed.table(path), WHOLE)
    assert resumed.calls == [[3, 4, 5], [6]]


def test_more_rows_can_be_asked_for_and_fewer_are_taken(tmp_path):
    path = tmp_path / "rows.json"
    Computation().table(path, n_rows=3)
    more, fewer = Computation(), Computation()
    np.testing.assert_array_equal(more.table(path), WHOLE)
    assert more.calls == [[3, 4, 5], [6]]
    np.testing.assert_array_equal(fewer.table(path, n_rows=2), WHOLE[:2])
    assert fewer.calls == []


def test_parameters_are_compared_as_the_file_keeps_them(tmp_path):
    path = tmp_path / "rows.json"
    for _ in range(2):
        Computation().table(path, parameters={"tried": (2, 3), "name": "a", "nothing": None})
    with pytest.raises(InputError, match="rows of others, which differ in name, other"):
        Computation().table(path, parameters={"tried": [2, 3], "name": "b", "other": 1})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"parameters": {"seed": 1}}',
        '{"parameters": {"seed": 1}, "rows": 3}',
        '{"parameters": {"seed": 1}, "rows": [[1, 2], [3]]}',
        '{"parameters": {"seed": 1}, "rows": [["a"]]}',
        '{"parameters": 3, "rows": [[1.0]]}',
        '{"parameters": {"seed": 1}, "rows": [[1' + "0" * 400 + "]]}",
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_an_error_and_stays(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DamagedCacheError, match="rows.json: expected a JSON file of rows"):
        Computation().table(path)
    assert path.read_text() == text


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path):
    with pytest.raises(DamagedCacheError, match="cannot be read as one"):
        Computation().table(tmp_path)


def test_values_that_are_not_numbers_survive(tmp_path):
    path = tmp_path / "rows.json"
    values = np.array([[np.nan, np.inf], [0.1 + 0.2, -0.0]])
    for _ in range(2):
        table = resumed_rows(
            path, {}, 2, lambda rows: values[list(rows)], at_once=1, description="rows"
        )
        np.testing.assert_array_equal(table, values)
    assert len(json.loads(path.read_text())["rows"]) == 2


def test_rows_of_another_number_of_columns_are_damage(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"parameters": {"seed": 1}, "rows": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]}')
    with pytest.raises(DamagedCacheError, match=r"rows.json: .* got rows of 6 columns, where"):
        Computation().table(path)
