"""Options of several commands, and checks of options that exclude each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from nwbcompare.cli.terminal import echo
from nwbcompare.core.errors import InputError

if TYPE_CHECKING:
    from nwbcompare.workflows.preregistration import PreregistrationFile

F = TypeVar("F", bound=Callable[..., Any])


def options_of(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds options, in this order, to several commands."""

    def add(command: F) -> F:
        # a decorator adds its option before those that are there
        for option in reversed(options):
            command = option(command)
        return command

    return add


def section_options(report: str) -> Callable[[F], F]:
    """Add the options ``--sections`` and ``--list-sections`` to the command of a report."""

    def print_sections(context: click.Context, _: click.Parameter, value: bool) -> None:
        if not value:
            return
        from nwbcompare.workflows.registry import sections_of  # noqa: PLC0415 - imports torch

        for section in sections_of(report).values():
            echo(f"{section.name}: {section.heading}{' (long)' if section.is_long else ''}")
        context.exit()

    return options_of(
        click.option(
            "--sections",
            help="Sections, separated by commas, plus those they depend on; by default all but the "
            "long ones.",
        ),
        click.option(
            "--list-sections",
            is_flag=True,
            # eager options are handled before required ones are missed
            is_eager=True,
            expose_value=False,
            callback=print_sections,
            help="List the sections and exit.",
        ),
    )


preregistration_options = options_of(
    click.option(
        "--preregister",
        type=click.Path(),
        help="Write what is fixed beforehand to this file, print its SHA-256, and compute nothing.",
    ),
    click.option(
        "--preregistration",
        type=click.Path(),
        help="File of --preregister; what departs from it stands above all findings.",
    ),
    click.option(
        "--note",
        multiple=True,
        help="With --preregister: a sentence to fix too, such as the question, which no program "
        "checks; may be repeated.",
    ),
)
"""Options by which an analysis is preregistered, and checked later."""


def check_preregistration_options() -> None:
    """Check the options of `preregistration_options`.

    Raises
    ------
    InputError
        For notes that are not written down, and a file that is both written and read.
    """
    if is_set("preregister"):
        names = ("preregistration", "train_only")
        check_not_set(names, "none with --preregister", "Leave one of them out.")
    else:
        check_not_set(("note",), "none without --preregister", "Leave it out.")


def print_preregistration(path: str, file: PreregistrationFile) -> None:
    """Print what to do with a preregistration, and last its SHA-256 as ``sha256sum`` does."""
    echo("Fixed beforehand; nothing was computed. Check a later run with --preregistration.")
    if file.contents.recording.sha256 is None:
        echo(
            f"No recording was found at {file.contents.recording.source}: its name is fixed, its "
            "data are not."
        )
    echo(f"{file.sha256}  {path}")


def names_of(text: str | None) -> list[str] | None:
    """Return the names in a text separated by commas, or None for None.

    Examples
    --------
    >>> names_of("dm1, dm2")
    ['dm1', 'dm2']
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def is_set(name: str) -> bool:
    """Return whether the user has set an option of the running command."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def check_not_set(names: Iterable[str], expected: str, remedy: str) -> None:
    """Check that the user has set none of some options.

    Parameters
    ----------
    names
        Parameters of the running command.
    expected, remedy
        See `nwbcompare.core.errors.InputError`.

    Raises
    ------
    InputError
        For the first option that is set.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and is_set(parameter.name):
            value = context.params[parameter.name]
            raise InputError(parameter.opts[0], expected, repr(value), remedy)
