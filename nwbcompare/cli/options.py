"""Options of the command line: which the user gave, and which do not go together."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.core import ParameterSource

from nwbcompare.core.errors import InputError


def given(name: str) -> bool:
    """Tell whether the user gave an option of the command that runs."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def refuse_given(names: Iterable[str], expected: str, remedy: str) -> None:
    """Refuse options that were given and do not fit the others.

    Parameters
    ----------
    names
        Names of parameters of the command that runs.
    expected, remedy
        See `nwbcompare.core.errors.InputError`.

    Raises
    ------
    InputError
        Naming the first that was given, with its value.
    """
    for name in names:
        if given(name):
            value = click.get_current_context().params[name]
            raise InputError(f"--{name.replace('_', '-')}", expected, repr(value), remedy)
