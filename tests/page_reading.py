"""Pages as tests read them: their structure, and what a browser makes of them."""

from __future__ import annotations

import html
import json
import re
import subprocess
from html.parser import HTMLParser

PROBE = """<script>addEventListener('load', () => { const t = document.documentElement;
const out = document.createElement('pre'); out.id = 'probe';
out.textContent = JSON.stringify({overflow: t.scrollWidth - t.clientWidth,
  sections: [...document.querySelectorAll('section')].map(s => [s.id, s.getBoundingClientRect().height]),
  images: [...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width]),
  clipped: [...document.querySelectorAll('figure .scroll')].map(d => d.scrollWidth - d.clientWidth),
  width: document.body.clientWidth});
document.body.append(out); });</script>"""


class Page(HTMLParser):
    """Collects ids, links, images and the cells of tables; what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.cells, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.images += [attrs] if tag == "img" else []
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def rendered(chromium, page, tmp_path, width):
    """Give what a browser makes of a page."""
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</head>", PROBE + "</head>"))
    options = (
        "--headless --no-sandbox --disable-gpu --disable-background-networking "
        "--disable-component-update --disable-sync --disable-quic --no-first-run "
        "--enable-logging=stderr --virtual-time-budget=3000 --dump-dom"
    )
    result = subprocess.run(
        [
            chromium,
            *options.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},1500",
            probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in result.stderr
    return json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', result.stdout)[1]))
