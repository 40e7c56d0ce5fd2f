"""Models of other packages: how a SOURCE of theirs becomes a network or an activity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from nwbcompare.core.entry_points import registered
from nwbcompare.core.errors import unknown_name
from nwbcompare.core.source_options import parse_options

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
    """

    name: str
    title: str
    returns: Literal["network", "activity"]
    load: Callable[..., Network | xr.DataTree]
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)


def model_loaders() -> dict[str, ModelLoader]:
    """Return the registered model loaders by name.

    Raises
    ------
    InputError
        Where an installed package registers something else than a model loader, or two packages
        register one name.
    """
    return registered(GROUP, ModelLoader, {})


def model_loader(source: str) -> ModelLoader | None:
    """Return the loader of a SOURCE, or None where it names no registered model."""
    # options first, since their values may contain a colon
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
    options = parse_options(query, loader.options, of=loader.name)
    return loader.load(head.partition(":")[2], **options)
