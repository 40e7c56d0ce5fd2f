"""Arrays are refused before they are made where they exceed the memory."""

from __future__ import annotations

import psutil

UNASKED_BYTES = 64_000_000
"""Size below which the available memory is not checked (bytes)."""


def refuse_beyond_memory(n_bytes: int) -> None:
    """Raise an error for an array larger than the available memory.

    Linux grants such an array, and kills the process when it is filled.

    Parameters
    ----------
    n_bytes
        Size of the array (bytes).

    Raises
    ------
    MemoryError
        If there is less memory; the message has both sizes.

    Examples
    --------
    >>> refuse_beyond_memory(1000)
    """
    if n_bytes > UNASKED_BYTES and n_bytes > (left := psutil.virtual_memory().available):
        raise MemoryError(f"{n_bytes:,} bytes, where {left:,} are left")
