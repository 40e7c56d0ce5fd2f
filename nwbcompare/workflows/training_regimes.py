"""The training regimes that are compared: the published two, their controls, and more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nwbcompare.core.errors import InputError, listing
from nwbcompare.model.config import Consolidation, Method

REGIMES: Final = {
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


def read_regime(text: str) -> str:
    """Give the name of an additional regime, such as "elastic 200", from "elastic:200".

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
    >>> read_regime("elastic:200")
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


def regime_option(regime: str) -> str:
    """Return the text that `read_regime` reads as a regime, such as "elastic:200"."""
    return regime.replace(" ", ":")


def _name(method: str, strength: float) -> str:
    """Name a regime by its method and strength, of which no digit is lost."""
    return f"{method} {strength!r}".removesuffix(".0")


def shown_name(regime: str) -> str:
    """Give a name in words, such as "synaptic intelligence 0.1"."""
    return str(regime).replace("_", " ")


def consolidation_of(regime: str, strength: float, seed: int) -> Consolidation:
    """Give how networks of a regime that learns in stages are kept from forgetting.

    Parameters
    ----------
    regime
        A name in `METHODS`, or one that `read_regime` gave.
    strength
        Of the regimes in `METHODS`; the others have their own.
    seed
        The network's seed.
    """
    if regime == "sequential":
        return Consolidation(seed=seed)
    if regime in METHODS:
        return Consolidation(method=METHODS[regime], strength=strength, seed=seed)
    method, number = regime.split()
    return Consolidation(method=method, strength=float(number), seed=seed)  # type: ignore[arg-type]


def donor_of(regime: str) -> str | None:
    """Name the regime whose importances a control takes; None for other regimes."""
    method, _, number = regime.partition(" ")
    if method not in CONTROLS:
        return None
    return f"{METHODS[DONOR]} {number}" if number else DONOR


def chains_of(regimes: Iterable[str]) -> list[tuple[str, ...]]:
    """Return chains of training: each regime, then the controls that take its importances."""
    listed = list(regimes)
    return [
        (regime, *(other for other in listed if donor_of(other) == regime))
        for regime in listed
        if donor_of(regime) is None
    ]


def check_regimes(regimes: Iterable[str], also: Iterable[str], strength: float) -> None:
    """Refuse regimes that there are not, that come twice, or that lack what they stand on.

    Parameters
    ----------
    regimes
        Names in `REGIMES`.
    also
        Names that `read_regime` gave.
    strength
        Of the regimes in `METHODS`.

    Raises
    ------
    InputError
        As said.
    """
    named, more = list(regimes), list(also)
    own = {_name(METHODS[regime], float(strength)) for regime in METHODS if regime != "sequential"}
    for regime in more:
        if regime in own or more.count(regime) > 1:
            raise InputError(
                "also",
                f"methods and strengths that {listing(METHODS)} do not have, each once",
                regime_option(regime),
                "Leave it out, or ask for the regime by its name.",
            )
    if not named or set(named) - set(REGIMES) or len(set(named)) < len(named):
        raise InputError(
            "regimes",
            f"some of {listing(REGIMES)}, each once",
            listing(named),
            "Leave it out for all.",
        )
    for regime in (*named, *more):
        donor = donor_of(regime)
        if donor is not None and donor not in (*named, *more):
            raise InputError(
                "regimes" if regime in REGIMES else "also",
                f"{regime_option(donor)} beside {regime_option(regime)}, which takes its "
                "importances",
                listing((*named, *more)),
                "Add it.",
            )
