"""Pages as tests read them: their structure, and what a browser makes of them."""

from __future__ import annotations

import html
import itertools
import json
import os
import re
import subprocess
import time
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
    """Collects ids, links, headings, images and tables; what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.cells, self.open = [], [], [], [], []
        self.headings, self.captions, self.scopes, self.lang = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.images += [attrs] if tag == "img" else []
        self.headings += [int(tag[1])] if tag in {"h1", "h2", "h3", "h4"} else []
        self.scopes += [attrs.get("scope")] if tag == "th" else []
        self.lang = attrs.get("lang") if tag == "html" else self.lang
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and (
            self.open[-1] == "td" or (self.open[-1] == "th" and self.scopes[-1] == "row")
        ):
            self.cells.append(data)
        if self.open and self.open[-1] == "caption":
            self.captions.append(data)


def rendered(chromium, page, tmp_path, width):
    """Return what a browser renders of a page."""
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


class Browser:
    """A headless Chromium on one page, spoken to by its own protocol over two pipes."""

    def __init__(self, chromium, profile):
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()
        options = "--headless --no-sandbox --disable-gpu --disable-background-networking"
        self.process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}',
                chromium,
                *options.split(),
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
            ],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.numbers, self.session, self.events = b"", itertools.count(1), None, []

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{part}.enable")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        os.close(self.write)
        os.close(self.read)

    def call(self, method, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        while b"\0" not in self.rest:
            more = os.read(self.read, 1 << 20)
            assert more, "the browser has gone"
            self.rest += more
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def show(self, page, width):
        """Load a page at a width."""
        size = {"width": width, "height": 1500, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=page.as_uri())
        while self.ask("document.readyState") != "complete":
            time.sleep(0.05)

    def ask(self, expression):
        """Return the value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key, code, text=""):
        """Press a key."""
        key = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    @property
    def complaints(self):
        """What the page said on the console, exceptions among it."""
        kinds = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [one for one in self.events if one.get("method") in kinds]
