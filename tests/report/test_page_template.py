"""The template of pages as people meet it: by eye, by keyboard, by screen reader, on paper."""

from __future__ import annotations

import re
import subprocess

import pytest
from page_reading import Browser, Page

TAB, ENTER = ("Tab", 9), ("Enter", 13, "\r")
FOCUSED = """(() => { const e = document.activeElement; return {tag: e.tagName, class: e.className,
  id: e.id, href: e.getAttribute('href'), place: [...document.querySelectorAll('*')].indexOf(e),
  outline: parseFloat(getComputedStyle(e).outlineWidth)}; })()"""
CONTRASTS = """(() => {
const light = c => { const [r, g, b] = c.map(v => { v /= 255;
    return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b; };
const numbers = t => t.match(/[\\d.]+/g).map(Number);
const behind = e => { for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c.slice(0, 3); }
  return [255, 255, 255]; };
return [...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(
    n => n.nodeType === 3 && n.textContent.trim())).map(e => {
  const [a, b] = [numbers(getComputedStyle(e).color).slice(0, 3), behind(e)].map(light);
  return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + '.' + e.className]; });
})()"""


@pytest.fixture(scope="module")
def page(simulated_report):
    return simulated_report[0] / "index.html"


@pytest.fixture(scope="module")
def read(page):
    return Page(page.read_text())


@pytest.fixture(scope="module")
def browser(chromium, tmp_path_factory):
    with Browser(chromium, tmp_path_factory.mktemp("profile")) as open_browser:
        yield open_browser


# -- as it is written -----------------------------------------------------------------------------


def test_the_contents_list_every_section_in_order(read):
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))
    sections = [name for name in read.ids if not name.startswith("figure-")]
    contents = [link.removeprefix("#") for link in read.links][1 : len(sections) + 1]
    assert contents == sections
    assert sections[0] == "findings"
    assert sections[-3:] == ["limits", "methods", "provenance"]
    # every link leads somewhere
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)


def test_the_page_is_structured_for_those_who_hear_it(read):
    assert read.lang == "en"
    assert read.headings.count(1) == 1
    assert read.headings[0] == 1
    assert all(
        after <= before + 1 for before, after in zip(read.headings, read.headings[1:], strict=False)
    )
    assert len(read.captions) == len(set(read.captions)) > 5
    assert set(read.scopes) == {"row", "col"}
    assert all(len(image["alt"]) > 40 for image in read.images)


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["ink", "soft", "accent"])
def test_text_stands_out_from_what_is_behind_it(page, name):
    css = page.read_text()
    text = re.search(rf"--{name}: (#\w{{6}})", css)[1]
    grounds = ["#ffffff", *re.findall(r"background: (#\w{6})", css)]
    assert len(grounds) == 3
    for ground in grounds:
        lighter, darker = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


# -- in a browser ---------------------------------------------------------------------------------


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_every_section_without_errors(browser, page, read, width):
    browser.show(page, width)
    assert browser.ask("location.protocol") == "file:"
    assert browser.ask("innerWidth") == width
    assert browser.ask("document.documentElement.scrollWidth") <= browser.ask(
        "document.documentElement.clientWidth"
    )
    heights = browser.ask(
        "[...document.querySelectorAll('section')].map(s => s.getBoundingClientRect().height)"
    )
    assert len(heights) == sum(not name.startswith("figure-") for name in read.ids)
    assert min(heights) > 20
    images = browser.ask("[...document.images].map(i => i.naturalWidth)")
    assert len(images) == len(read.images)
    assert min(images) > 100
    assert browser.complaints == []


@pytest.mark.chromium
def test_every_text_has_enough_contrast(browser, page):
    browser.show(page, 1200)
    found = browser.ask(CONTRASTS)
    assert len(found) > 200
    assert min(found)[0] >= 4.5, min(found)


@pytest.mark.chromium
def test_the_keyboard_reaches_everything_in_order(browser, page, read):
    browser.show(page, 1200)
    browser.press(*TAB)
    first = browser.ask(FOCUSED)
    assert (first["tag"], first["class"], first["href"]) == ("A", "skip", "#findings")
    assert browser.ask("document.activeElement.getBoundingClientRect().left") >= 0
    met = [first]
    for _ in range(len(read.links) + 60):
        browser.press(*TAB)
        now = browser.ask(FOCUSED)
        if now["tag"] == "BODY" or now["place"] < met[-1]["place"]:
            break
        met.append(now)
    contents = [one["href"] for one in met[1:] if one["tag"] == "A"]
    assert contents == read.links[1:]
    n_sections = sum(not name.startswith("figure-") for name in read.ids)
    assert [one["tag"] for one in met[1 : n_sections + 1]] == ["A"] * n_sections
    regions = browser.ask("document.querySelectorAll('.scroll').length")
    assert (
        sum(one["class"] == "scroll" for one in met)
        == regions
        == len(read.images) + len(read.captions)
    )
    # where the focus is can be seen
    assert all(one["outline"] >= 1 for one in met)


@pytest.mark.chromium
def test_the_skip_link_leads_past_the_contents(browser, page):
    browser.show(page, 1200)
    browser.press(*TAB)
    browser.press(*ENTER)
    assert browser.ask("document.activeElement.id") == "findings"
    assert browser.ask("location.hash") == "#findings"
    browser.press(*TAB)
    assert browser.ask("document.activeElement.closest('section').id") == "findings"


@pytest.mark.chromium
def test_everything_that_takes_the_focus_has_a_name(browser, page, read):
    browser.show(page, 1200)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]

    def properties(node):
        return {one["name"]: one["value"].get("value") for one in node.get("properties", [])}

    shown = [node for node in nodes if not node.get("ignored")]
    focusable = [
        node
        for node in shown
        if properties(node).get("focusable") and node["role"]["value"] != "RootWebArea"
    ]
    unnamed = [node["role"]["value"] for node in focusable if not node.get("name", {}).get("value")]
    assert unnamed == []
    assert len(focusable) > len(read.links)
    roles = [node["role"]["value"] for node in shown]
    for role in ("banner", "navigation", "main", "table", "columnheader", "rowheader"):
        assert role in roles
    assert roles.count("image") + roles.count("img") == len(read.images)


# -- on paper -------------------------------------------------------------------------------------


@pytest.mark.chromium
def test_a_browser_prints_the_page(simulated_report, chromium, tmp_path):
    pdf = tmp_path / "report.pdf"
    page = simulated_report[0].resolve() / "index.html"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    options = (*options, f"--user-data-dir={tmp_path / 'profile'}")
    command = [chromium, *options, f"--print-to-pdf={pdf}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    printed = pdf.read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 5
