"""Training regimes of continual learning: the published two, their controls, and others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation, Method

REGIMES = {
    "interleaved": "all tasks at once, as many trials of each",
    "sequential": "one task after another, nothing consolidated",
    "consolidated": "one task after another with synaptic intelligence",
    "permuted": "control: the importances of the consolidated network at other synapses",
    "uniform": "control: their sum spread evenly over all synapses",
}
"""Regimes that every study compares, by name; untrained networks are added."""
UNTRAINED = "untrained"
DONOR, CONTROLS = "consolidated", ("permuted", "uniform")
METHODS: dict[str, Method] = {
    "sequential": "none",
    "consolidated": "synaptic_intelligence",
    "permuted": "permuted",
    "uniform": "uniform",
}
"""Methods of consolidation of `REGIMES`; interleaved training has none."""


@dataclass(frozen=True)
class TrainingRegime:
    """A way to train a network on the tasks of a study.

    Attributes
    ----------
    name
        Label in tables: a name in `REGIMES`, or method and strength, such as "elastic 200".
    method
        Method of consolidation; None where all tasks are trained at once.
    strength
        Strength of consolidation; 0 without.
    donor
        Name of the regime whose importances a control takes; None for other regimes.
    """

    name: str
    method: Method | None
    strength: float
    donor: str | None = None

    @property
    def title(self) -> str:
        """Name in words, such as "synaptic intelligence 0.1"."""
        return title_of(self.name)

    @property
    def option(self) -> str:
        """Text that `read_regime` reads, such as "elastic:200"."""
        return self.name.replace(" ", ":")

    def consolidation(self, seed: int) -> Consolidation | None:
        """Return the consolidation of a network; None where all tasks are trained at once."""
        if self.method is None:
            return None
        if self.method == "none":
            return Consolidation(seed=seed)
        return Consolidation(method=self.method, strength=self.strength, seed=seed)


def regime_of_study(name: str, strength: float) -> TrainingRegime:
    """Return a regime of `REGIMES`, at the strength of synaptic intelligence of a study.

    Examples
    --------
    >>> regime_of_study("uniform", 1.0).donor
    'consolidated'
    """
    method = METHODS.get(name)
    consolidates = method not in {None, "none"}
    donor = DONOR if name in CONTROLS else None
    return TrainingRegime(name, method, strength if consolidates else 0.0, donor)


def read_regime(text: str) -> TrainingRegime:
    """Read a further regime from METHOD:STRENGTH.

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
    >>> read_regime("elastic:200").name
    'elastic 200'
    """
    method, colon, number = text.partition(":")
    try:
        strength = float(number)
    # 0 fails the check below, as does any other text that is no strength
    except ValueError:
        strength = 0.0
    if not colon or not 0 < strength < float("inf") or method == "none":
        raise InputError(
            "also",
            "a method of consolidation and a strength above 0, as METHOD:STRENGTH",
            repr(text),
            'Use "elastic:200".',
        )
    # the configuration checks the method
    checked = Consolidation(method=method, strength=strength).method  # type: ignore[arg-type]
    # of equal strength, so that only the place of the importances differs
    donor = _name(METHODS[DONOR], strength) if method in CONTROLS else None
    return TrainingRegime(_name(method, strength), checked, strength, donor)


def _name(method: str, strength: float) -> str:
    """Return the label of a regime, with all digits of the strength."""
    # all digits, so that two strengths never share a label
    return f"{method} {strength!r}".removesuffix(".0")


def title_of(name: str) -> str:
    """Return the name of a regime or a contrast in words.

    Examples
    --------
    >>> title_of("synaptic_intelligence 0.1")
    'synaptic intelligence 0.1'
    """
    return str(name).replace("_", " ")


def chains_of(regimes: Mapping[str, TrainingRegime]) -> list[tuple[TrainingRegime, ...]]:
    """Return chains of training: each regime, then the controls that take its importances."""
    return [
        (regime, *(other for other in regimes.values() if other.donor == regime.name))
        for regime in regimes.values()
        if regime.donor is None
    ]


def strongest_last(regimes: Iterable[TrainingRegime]) -> list[TrainingRegime]:
    """Sort regimes: plain training, synaptic intelligence by strength, then other methods."""
    rank: dict[str, int] = {"none": 0, METHODS[DONOR]: 1}
    return sorted(regimes, key=lambda one: (rank.get(str(one.method), 2), one.strength, one.name))
