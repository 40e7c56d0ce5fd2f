"""Options that commands share, and options that exclude each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from nwbcompare.core.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


def section_options(report: str) -> Callable[[F], F]:
    """Add the options ``--sections`` and ``--list-sections`` to the command of a report."""

    def print_sections(context: click.Context, _: click.Parameter, value: bool) -> None:
        if not value:
            return
        from nwbcompare.workflows.registry import sections_of  # noqa: PLC0415 - imports torch

        for section in sections_of(report).values():
            click.echo(f"{section.name}: {section.heading}{' (long)' if section.is_long else ''}")
        context.exit()

    def add(command: F) -> F:
        listing = click.option(
            "--list-sections",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=print_sections,
            help="List the sections and end.",
        )
        sections = click.option(
            "--sections", help="Sections by commas, with those that they need; by default all."
        )
        return sections(listing(command))

    return add


def names_of(text: str | None) -> list[str] | None:
    """Return names separated by commas; None for None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def given(name: str) -> bool:
    """Return whether the user passed an option of the running command."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def refuse_given(names: Iterable[str], expected: str, remedy: str) -> None:
    """Check that the user passed none of some options.

    Parameters
    ----------
    names
        Parameters of the running command.
    expected, remedy
        See `nwbcompare.core.errors.InputError`.

    Raises
    ------
    InputError
        With the first of them and its value.
    """
    for name in names:
        if given(name):
            value = click.get_current_context().params[name]
            raise InputError(f"--{name.replace('_', '-')}", expected, repr(value), remedy)
