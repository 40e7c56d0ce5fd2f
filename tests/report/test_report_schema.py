"""``report.json``: its schema, what breaks it, and its description in the documentation."""

from __future__ import annotations

import copy
import json
from importlib.resources import files

import jsonschema
import pytest

from nwbcompare.report.page import Page, write_page
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture

SCHEMA = json.loads((files("nwbcompare.report") / "report.schema.json").read_text("utf-8"))


def page():
    finding = Finding(text="More.", evidence=Evidence(measure="difference", p_value=0.5), main=True)
    section = PageSection(
        name="pairs",
        heading="Pairs",
        findings=["None.", finding],
        rows=[{"a": 1, "b": float("nan"), "c": "x", "d": None}],
        pictures=[Picture(name="one", svg=b"<svg/>", caption="", width=3.2)],
    )
    return Page(
        title="A",
        lead="B",
        caution="C",
        sections=[section],
        methods=["D"],
        provenance={"settings": {"seed": 0}},
        cards={"networks": 2, "units": "3, 4"},
        limits=["E"],
    )


def test_what_is_written_follows_the_schema(tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    write_page(tmp_path, page())
    jsonschema.validate(json.loads((tmp_path / "report.json").read_text()), SCHEMA)


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: plain.pop("version"),
        lambda plain: plain.update(version=3),
        lambda plain: plain.update(more=1),
        lambda plain: plain["findings"].append("a sentence without evidence"),
        lambda plain: plain["findings"][0].update(p_value=1.5),
        lambda plain: plain["findings"][0].pop("unit_of_inference"),
        lambda plain: plain["sections"][0]["rows"][0].update(a=[1, 2]),
        lambda plain: plain["sections"][0]["pictures"][0].pop("caption"),
        lambda plain: plain["cards"].update(networks={"n": 2}),
        lambda plain: plain.update(simulated="no"),
    ],
)
def test_what_departs_from_the_schema_is_found(damage):
    plain = copy.deepcopy(page().as_json())
    damage(plain)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, SCHEMA)


def test_every_field_is_described_in_the_documentation(repository):
    text = (repository / "docs" / "results.md").read_text(encoding="utf-8")
    fields = [*SCHEMA["properties"], *SCHEMA["$defs"]["finding"]["properties"]]
    fields += [f".{name}" for name in ("heading",)]
    missing = [name for name in fields if f"`{name}`" not in text]
    assert not missing
    for name in SCHEMA["$defs"]["section"]["properties"]:
        assert f"sections[].{name}" in text or f"`.{name}`" in text
