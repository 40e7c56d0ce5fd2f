"""A server of files by ranges on this computer, which counts bytes and can break connections."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class RangeServer(ThreadingHTTPServer):
    """Files and JSON answers by path.

    Attributes
    ----------
    n_bytes
        Bytes of files that were sent.
    n_broken
        Number of requests for ranges whose connection will break.
    """

    daemon_threads = True
    # readers open a connection for each range, faster than a busy machine accepts them
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, Path] = {}
        self.answers: dict[str, Any] = {}
        self.n_bytes = self.n_broken = self.n_requests = 0
        self.serves_ranges = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Connections that clients close are no errors."""


class _Answer(BaseHTTPRequestHandler):
    server: RangeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, *, with_content: bool) -> None:
        path = self.path.partition("?")[0]
        if path in self.server.answers:
            self._send(200, json.dumps(self.server.answers[path]).encode(), {})
        elif path in self.server.files:
            self._file(self.server.files[path], with_content=with_content)
        else:
            self._send(404, b"", {})

    def _file(self, file: Path, *, with_content: bool) -> None:
        size = file.stat().st_size
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.server.n_requests += with_content
        if not self.server.serves_ranges or part is None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            if self.server.serves_ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if with_content:
                self.server.n_bytes += size
                self.wfile.write(file.read_bytes())
            return
        start, stop = int(part[1]), min(int(part[2] or size - 1), size - 1) + 1
        with file.open("rb") as stream:
            stream.seek(start)
            content = stream.read(stop - start)
        if with_content and self.server.n_broken:
            self.server.n_broken -= 1
            self.send_response(206)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.server.n_bytes += len(content)
        self._send(206, content, {"Content-Range": f"bytes {start}-{stop - 1}/{size}"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def serving() -> Iterator[RangeServer]:
    """Run a server while the context lasts."""
    server = RangeServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
