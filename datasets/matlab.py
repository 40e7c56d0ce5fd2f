"""Structs in MATLAB 5 files, as archives hold them; what is damaged or foreign is named."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError

UNREADABLE = (
    zlib.error,
    ValueError,
    TypeError,
    OSError,
    NotImplementedError,
    LookupError,
    MemoryError,
    ArithmeticError,
)
"""What scipy's reader raises on damaged or foreign bytes, besides its own error."""


def read_struct(file: Path, content: bytes, name: str) -> Any:
    """Read the one struct of a file.

    Parameters
    ----------
    file
        The file, for messages.
    content
        Its bytes.
    name
        The variable.

    Raises
    ------
    InputError
        For bytes that are no MATLAB 5 file, and a variable that is not there or no struct.
    """
    from scipy.io import loadmat  # noqa: PLC0415 - slow to import
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    try:
        variables = loadmat(io.BytesIO(content), variable_names=[name])
    except (MatReadError, *UNREADABLE) as error:
        raise InputError(
            str(file),
            "a MATLAB 5 file",
            f"one that cannot be read ({error})",
            "It is truncated or another kind of file: obtain it again.",
        ) from error
    struct = variables.get(name)
    if struct is None or struct.dtype.names is None or struct.size != 1:
        raise InputError(
            str(file),
            f"a variable {name!r} (1 x 1 struct)",
            "none",
            "This is no file of the archive: take it out of the folder.",
        )
    return struct.ravel()[0]
