"""A small version of the fuzz benchmark: fixed cases of every kind, and controls of its judgement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fuzz_cases
import h5py
import pytest

from nwbcompare.core.errors import InputError

N_CASES = 12


@pytest.fixture(scope="module")
def fuzz(repository):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repository / "benchmarks"))
        import fuzz

        yield fuzz


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", fuzz_cases.KINDS)
def test_damaged_and_hostile_inputs_are_read_or_refused_by_name(fuzz, kind, tmp_path):
    bases = fuzz_cases.make_bases(kind, tmp_path / "bases")
    private = fuzz_cases.make_private(tmp_path)
    outcomes = {}
    for number in range(N_CASES):
        folder = tmp_path / str(number)
        path = fuzz_cases.make_case(kind, number, 1, bases, folder, private)
        outcomes[number] = fuzz.read_case(kind, path)
    assert {n: o for n, o in outcomes.items() if o[0] not in fuzz.GOOD} == {}


def test_a_case_is_the_same_each_time_and_differs_from_the_next(tmp_path):
    bases = fuzz_cases.make_bases("TOML", tmp_path / "bases")
    texts = [
        fuzz_cases.make_case("TOML", number, 0, bases, tmp_path / f"{place}", tmp_path).read_bytes()
        for place, number in enumerate((1, 1, 2))
    ]
    assert texts[0] == texts[1] != texts[2]


def judged(fuzz, monkeypatch, read, path=Path("/folder/a.toml")):
    kind = replace(fuzz_cases.KINDS["TOML"], read=read)
    monkeypatch.setitem(fuzz_cases.KINDS, "TOML", kind)
    return fuzz.read_case("TOML", path)[0]


def test_errors_of_other_types_and_without_a_name_are_faults(fuzz, monkeypatch):
    def fail(error):
        def read(path):
            raise error

        return read

    assert judged(fuzz, monkeypatch, lambda _: []) == "read"
    assert judged(fuzz, monkeypatch, fail(InputError("a.toml", "x", "y", "z"))) == "refused"
    assert judged(fuzz, monkeypatch, fail(InputError("b", "x", "y", "z"))) == "unnamed"
    assert judged(fuzz, monkeypatch, fail(KeyError("x"))) == "traceback"
    assert judged(fuzz, monkeypatch, fail(MemoryError())) == "memory"


def test_values_from_outside_the_folder_are_a_fault(fuzz, monkeypatch, tmp_path):
    private = fuzz_cases.make_private(tmp_path)
    inside = tmp_path / "inside.h5"
    with h5py.File(inside, "w") as file:
        file["rate"] = h5py.ExternalLink(str(private), "/values")

    def read(path):
        with h5py.File(path) as file:
            return {"rate": file["rate"][()]}

    assert judged(fuzz, monkeypatch, read, inside) == "outside"


def test_a_run_is_taken_up_where_it_ended(fuzz, tmp_path, monkeypatch):
    asked = []

    def run_cases(kind, numbers, seed):
        asked.append(numbers)
        how = "crash" if 3 in numbers else "read"
        return [{"case": n, "outcome": how, "seconds": 0.1} for n in numbers]

    monkeypatch.setattr(fuzz, "run_cases", run_cases)
    monkeypatch.setattr(fuzz, "BATCH", 4)
    file = tmp_path / "fuzz.json"
    results = {}
    fuzz.run_kind("TOML", 6, 0, results, file)
    fuzz.run_kind("TOML", 9, 0, results, file)
    again = [range(case, case + 1) for case in range(4)]
    assert asked == [range(4), range(4, 6), *again, range(6, 9)]
    assert results["TOML"]["outcomes"] == {"crash": 1, "read": 8}
    assert [fault["case"] for fault in results["TOML"]["faults"]] == [3]
    with pytest.raises(SystemExit, match="cases of seed 0"):
        fuzz.run_kind("TOML", 9, 1, results, file)


def test_a_worker_answers_for_each_case(fuzz):
    cases = fuzz.run_cases("TOML", range(3), 1)
    assert [case["case"] for case in cases] == [0, 1, 2]
    assert {case["outcome"] for case in cases} <= fuzz.GOOD
