from .arrays import from_arrays as from_arrays
from .dpca import from_dpca as from_dpca
from .matlab.mat_files import from_mat as from_mat
from .neo.neo_blocks import from_neo as from_neo, to_neo as to_neo
from .neo.vendor_files import open_vendor as open_vendor
from .nwb.dandi import write_dandiset as write_dandiset
from .nwb.poisson_spikes import PoissonSpikes as PoissonSpikes
from .nwb.read import open_nwb as open_nwb
from .nwb.validation import inspect_nwb as inspect_nwb
from .nwb.write import write_nwb as write_nwb
from .pandas import PlainArrays as PlainArrays, to_numpy as to_numpy, to_pandas as to_pandas
from .pynapple import (
    PynappleTrials as PynappleTrials,
    from_pynapple as from_pynapple,
    to_pynapple as to_pynapple,
)
