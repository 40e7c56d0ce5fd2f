"""Text without control characters, for terminals, tables, pages and figures."""

from __future__ import annotations

import re

CONTROL = re.compile(
    # all but tab and newline; then marks that reverse the direction of text, halves of
    # characters, and what XML does not allow
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def plain_text(text: str) -> str:
    r"""Return text whose control characters are written as escapes, such as ``\x1b``.

    Names in files may have any character: in a terminal, escape sequences would clear the screen
    or hide other text, and a page or a figure with them is no valid XML.

    Parameters
    ----------
    text
        Any text. Tabs and newlines stay.

    Examples
    --------
    >>> print(plain_text("\x1b[31mred"))
    \x1b[31mred
    """
    return CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
