from . import (
    comparison as comparison,
    datasets as datasets,
    experiments as experiments,
    inference as inference,
    io as io,
    model as model,
    plotting as plotting,
    tasks as tasks,
    testing as testing,
)
from .analysis import (
    clustering as clustering,
    connectivity as connectivity,
    learning as learning,
    population as population,
    selectivity as selectivity,
)
from .analysis.selectivity import (
    fractional_task_variance as fractional_task_variance,
    task_variance as task_variance,
)
from .comparison import (
    compare_samples as compare_samples,
    record_matched as record_matched,
    sample_like as sample_like,
)
from .core.activity import (
    blocks as blocks,
    labels as labels,
    make_activity as make_activity,
    make_block as make_block,
    select as select,
)
from .core.activity_summary import describe as describe
from .core.errors import (
    InputError as InputError,
    NotApplicableError as NotApplicableError,
    UnitWarning as UnitWarning,
)
from .core.schema import check_activity as check_activity
from .core.time_axis import align as align, rebin as rebin, smooth as smooth
from .io import (
    from_arrays as from_arrays,
    from_dpca as from_dpca,
    from_mat as from_mat,
    from_neo as from_neo,
    from_pynapple as from_pynapple,
    to_neo as to_neo,
    to_numpy as to_numpy,
    to_pandas as to_pandas,
    to_pynapple as to_pynapple,
    write_nwb as write_nwb,
)
from .model import record as record
from .workflows.analyze import analyze as analyze
from .workflows.compare import compare as compare
from .workflows.continual import continual as continual
from .workflows.convert import convert as convert
from .workflows.sources import load as load, open as open

__version__: str
