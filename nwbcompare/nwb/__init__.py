"""NWB: write, inspect and open."""

from nwbcompare.nwb.inspect import inspect_nwb
from nwbcompare.nwb.read import open_nwb
from nwbcompare.nwb.write import write_nwb

__all__ = ["inspect_nwb", "open_nwb", "write_nwb"]
