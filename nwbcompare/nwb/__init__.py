"""NWB: write, inspect and open."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nwbcompare.nwb.read import open_nwb

if TYPE_CHECKING:
    from nwbcompare.nwb.archive import write_dandiset
    from nwbcompare.nwb.inspect import inspect_nwb
    from nwbcompare.nwb.poisson import PoissonSpikes
    from nwbcompare.nwb.write import write_nwb

_HOME = {
    "PoissonSpikes": "poisson",
    "inspect_nwb": "inspect",
    "write_dandiset": "archive",
    "write_nwb": "write",
}

__all__ = ["PoissonSpikes", "inspect_nwb", "open_nwb", "write_dandiset", "write_nwb"]


def __getattr__(name: str) -> Any:
    """Import what writes when it is first used: pynwb takes seconds, and reading needs none."""
    if name in _HOME:
        return getattr(import_module(f"nwbcompare.nwb.{_HOME[name]}"), name)
    raise AttributeError(f"module 'nwbcompare.nwb' has no attribute {name!r}")
