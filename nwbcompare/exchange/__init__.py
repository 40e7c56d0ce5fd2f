"""To and from what others use: neo, pynapple, pandas, numpy, MATLAB."""

from nwbcompare.exchange.arrays import from_arrays
from nwbcompare.exchange.mat import from_mat
from nwbcompare.exchange.neo import from_neo, to_neo
from nwbcompare.exchange.pynapple import PynappleTrials, from_pynapple, to_pynapple
from nwbcompare.exchange.tables import PlainArrays, to_numpy, to_pandas
from nwbcompare.exchange.vendor import open_vendor

__all__ = [
    "PlainArrays",
    "PynappleTrials",
    "from_arrays",
    "from_mat",
    "from_neo",
    "from_pynapple",
    "open_vendor",
    "to_neo",
    "to_numpy",
    "to_pandas",
    "to_pynapple",
]
