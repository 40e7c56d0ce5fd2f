"""A page as PDF, printed by a headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from nwbcompare.core.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_S = 120
PDF = "report.pdf"


def find_chromium() -> str:
    """Give the path of a Chromium.

    Raises
    ------
    InputError
        Where there is none.
    """
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise InputError(
        "pdf",
        f"a Chromium to print with ({', '.join(NAMES)})",
        "none on the PATH",
        "Install one (Debian's package is `chromium`), or print index.html from a browser.",
    )


def write_pdf(chromium: str, folder: Path, page: str = "index.html") -> Path:
    """Print a page of a folder as PDF beside it.

    Parameters
    ----------
    chromium
        From `find_chromium`.
    folder, page
        The page.

    Raises
    ------
    InputError
        Where Chromium printed nothing; its own words are given.
    """
    pdf = folder / PDF
    with tempfile.TemporaryDirectory() as profile:
        result = subprocess.run(  # noqa: S603 - a browser found on the PATH, and our own page
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-pdf-header-footer",
                f"--user-data-dir={profile}",
                f"--print-to-pdf={pdf}",
                (folder / page).resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    if not pdf.is_file():
        raise InputError(
            "pdf", "a page that Chromium prints", result.stderr[-500:], "Leave --pdf out."
        )
    return pdf
