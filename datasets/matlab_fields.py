"""Fields of an archive's MATLAB structs, with errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError, listing
from nwbcompare.io.matlab.structs import Struct


def struct_variable(file: Path, variables: Struct, name: str) -> Struct:
    """Return a variable of a file that is one struct.

    Parameters
    ----------
    file
        The file, for messages.
    variables
        Its variables, as `opened_mat` yields them.
    name
        The variable.

    Raises
    ------
    InputError
        If there is no such variable, or it is not a struct.

    Examples
    --------
    >>> from pathlib import Path
    >>> unit = Struct({"area": lambda: "PFC"})
    >>> struct_variable(Path("a.mat"), Struct({"unit": lambda: unit}), "unit")["area"]
    'PFC'
    """
    value = variables.get(name)
    if not isinstance(value, Struct):
        raise InputError(
            str(file),
            f"a variable {name!r} (1 x 1 struct)",
            f"variables {listing(variables)}" if value is None else "a variable of another class",
            "The file is not one of the archive: take it out of the folder.",
        )
    return value


def damaged(subject: object, expected: str, got: str = "something else") -> InputError:
    """Return the error for content that no file of an archive has.

    Examples
    --------
    >>> damaged(Path("unit.mat"), "spike counts", "text").subject
    'unit.mat'
    """
    return InputError(str(subject), expected, got, "The file is damaged: obtain it again.")


def struct_field(file: Path, struct: Any, name: str) -> Any:
    """Return a field of a struct.

    Parameters
    ----------
    file
        The file, for messages.
    struct
        The struct.
    name
        The field.

    Raises
    ------
    InputError
        If there is no such field, or no struct.

    Examples
    --------
    >>> from pathlib import Path
    >>> struct_field(Path("a.mat"), Struct({"area": lambda: "PFC"}), "depth")
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: a.mat: expected a field 'depth', got fields area. The file \
is damaged or of another archive: obtain it again.
    """
    if not isinstance(struct, Struct) or name not in struct:
        raise InputError(
            str(file),
            f"a field {name!r}",
            f"fields {listing(struct)}" if isinstance(struct, Struct) else "no struct",
            "The file is damaged or of another archive: obtain it again.",
        )
    return struct[name]
