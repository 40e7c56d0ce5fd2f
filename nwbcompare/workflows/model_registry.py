"""Models of other packages: how a SOURCE of theirs becomes a network or an activity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import xarray as xr

from nwbcompare.core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from nwbcompare.model.network import Network

GROUP = "nwbcompare.models"
"""Entry points whose values are model loaders."""


@dataclass(frozen=True, kw_only=True)
class ModelLoader:
    """A kind of model that a SOURCE can name, as ``NAME:REST?option=value``.

    Attributes
    ----------
    name, title
        Name in a SOURCE, and a line about the model.
    returns
        "network": a `nwbcompare.model.Network`, which is analysed, lesioned and sampled like a
        run folder. "activity": the activity of any other model, as from
        `nwbcompare.from_arrays`, which is analysed as it is.
    load
        Loads it: ``load(REST, **options)``; REST is "" where the SOURCE is the name alone.
    options
        Options of ``load`` by name, with the function that reads each from text.

    Examples
    --------
    A package registers it as an entry point of the group ``nwbcompare.models`` (see
    ``examples/model_package``):

    >>> def load(path, *, seed=0):
    ...     return my_network(path, seed)
    >>> MINE = ModelLoader(name="mine", title="My models", returns="network", load=load,
    ...                    options={"seed": int})
    >>> MINE.parse("weights.pt", {"seed": "3"})
    ('weights.pt', {'seed': 3})
    """

    name: str
    title: str
    returns: Literal["network", "activity"]
    load: Callable[..., Network | xr.DataTree]
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)

    def parse(self, rest: str, options: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the arguments of ``load`` from text.

        Raises
        ------
        InputError
            For an unknown option, or a value that cannot be read.
        """
        values = {}
        for name, text in options.items():
            if name not in self.options:
                raise unknown_name(f"option of {self.name}", name, self.options)
            try:
                values[name] = self.options[name](text)
            except ValueError as error:
                kind = self.options[name].__name__
                raise InputError(
                    f"option {name!r} of {self.name}", f"a {kind}", repr(text), "Correct it."
                ) from error
        return rest, values


def model_loaders() -> dict[str, ModelLoader]:
    """Return the registered model loaders by name.

    Raises
    ------
    InputError
        Where an installed package registers something else than a model loader, or two packages
        register one name.
    """
    loaders: dict[str, ModelLoader] = {}
    for entry in entry_points(group=GROUP):
        loader = entry.load()
        if not isinstance(loader, ModelLoader) or loader.name in loaders:
            is_loader = isinstance(loader, ModelLoader)
            raise InputError(
                f"entry point {entry.value!r} of the group {GROUP}",
                "a ModelLoader with a name of its own",
                f"a second loader {loader.name!r}" if is_loader else repr(loader),
                "Correct or uninstall the package that registers it.",
            )
        loaders[loader.name] = loader
    return loaders


def model_loader(source: str) -> ModelLoader | None:
    """Return the loader of a SOURCE, or None where it names no registered model."""
    return model_loaders().get(source.partition("?")[0].partition(":")[0])


def load_model(source: str) -> Network | xr.DataTree:
    """Load a registered model.

    Parameters
    ----------
    source
        ``NAME``, ``NAME:REST`` or ``NAME:REST?option=value&...``.

    Raises
    ------
    InputError
        For an unknown name or option, and as the loader of the model.
    """
    loader = model_loader(source)
    if loader is None:
        raise unknown_name("model", source.partition(":")[0], model_loaders())
    head, _, query = source.partition("?")
    rest, options = loader.parse(
        head.partition(":")[2], dict(parse_qsl(query, strict_parsing=bool(query)))
    )
    return loader.load(rest, **options)
