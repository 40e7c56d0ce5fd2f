"""The kinds of training that are compared: the published two, their controls, and more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nwbcompare.core.errors import InputError, listing
from nwbcompare.model.config import Consolidation, Method

KINDS: Final = {
    "interleaved": "all tasks at once, as many trials of each",
    "sequential": "one task after another, nothing consolidated",
    "consolidated": "one task after another with synaptic intelligence",
    "permuted": "control: the importances of the consolidated network at other synapses",
    "uniform": "control: their sum spread evenly over all synapses",
}
"""What is trained, by name; untrained networks come besides."""
UNTRAINED = "untrained"
DONOR, CONTROLS = "consolidated", ("permuted", "uniform")
METHODS: dict[str, Method] = {
    "sequential": "none",
    "consolidated": "synaptic_intelligence",
    "permuted": "permuted",
    "uniform": "uniform",
}


def read_kind(text: str) -> str:
    """Give the name of an additional kind, such as "elastic 200", from "elastic:200".

    Parameters
    ----------
    text
        A method of `nwbcompare.model.Consolidation` but "none", and its strength.

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> read_kind("elastic:200")
    'elastic 200'
    """
    method, colon, number = text.partition(":")
    try:
        strength = float(number)
    except ValueError:
        strength = 0.0
    if not colon or not 0 < strength < float("inf") or method == "none":
        raise InputError(
            "also",
            "a method of consolidation and a strength above 0, as METHOD:STRENGTH",
            repr(text),
            'Use "elastic:200".',
        )
    # refuses methods that there are not
    Consolidation(method=method, strength=strength)  # type: ignore[arg-type]
    return _name(method, strength)


def asked_kind(kind: str) -> str:
    """Return the text that `read_kind` reads as a kind, such as "elastic:200"."""
    return kind.replace(" ", ":")


def _name(method: str, strength: float) -> str:
    """Name a kind by its method and strength, of which no digit is lost."""
    return f"{method} {strength!r}".removesuffix(".0")


def shown_name(kind: str) -> str:
    """Give a name in words, such as "synaptic intelligence 0.1"."""
    return str(kind).replace("_", " ")


def consolidation_of(kind: str, strength: float, seed: int) -> Consolidation:
    """Give how networks of a kind that learns in stages are kept from forgetting.

    Parameters
    ----------
    kind
        A name in `METHODS`, or one that `read_kind` gave.
    strength
        Of the kinds in `METHODS`; the others have their own.
    seed
        The network's seed.
    """
    if kind == "sequential":
        return Consolidation(seed=seed)
    if kind in METHODS:
        return Consolidation(method=METHODS[kind], strength=strength, seed=seed)
    method, number = kind.split()
    return Consolidation(method=method, strength=float(number), seed=seed)  # type: ignore[arg-type]


def donor_of(kind: str) -> str | None:
    """Name the kind whose importances a control takes; None for other kinds."""
    method, _, number = kind.partition(" ")
    if method not in CONTROLS:
        return None
    return f"{METHODS[DONOR]} {number}" if number else DONOR


def chains_of(kinds: Iterable[str]) -> list[tuple[str, ...]]:
    """Give what is trained after another: each kind with the controls that take its importances."""
    listed = list(kinds)
    return [
        (kind, *(other for other in listed if donor_of(other) == kind))
        for kind in listed
        if donor_of(kind) is None
    ]


def check_kinds(kinds: Iterable[str], also: Iterable[str], strength: float) -> None:
    """Refuse kinds that there are not, that come twice, or that lack what they stand on.

    Parameters
    ----------
    kinds
        Names in `KINDS`.
    also
        Names that `read_kind` gave.
    strength
        Of the kinds in `METHODS`.

    Raises
    ------
    InputError
        As said.
    """
    named, more = list(kinds), list(also)
    own = {_name(METHODS[kind], float(strength)) for kind in METHODS if kind != "sequential"}
    for kind in more:
        if kind in own or more.count(kind) > 1:
            raise InputError(
                "also",
                f"methods and strengths that {listing(METHODS)} do not have, each once",
                asked_kind(kind),
                "Leave it out, or ask for the kind by its name.",
            )
    if not named or set(named) - set(KINDS) or len(set(named)) < len(named):
        raise InputError(
            "kinds", f"some of {listing(KINDS)}, each once", listing(named), "Leave it out for all."
        )
    for kind in (*named, *more):
        donor = donor_of(kind)
        if donor is not None and donor not in (*named, *more):
            raise InputError(
                "kinds" if kind in KINDS else "also",
                f"{asked_kind(donor)} beside {asked_kind(kind)}, which takes its importances",
                listing((*named, *more)),
                "Add it.",
            )
