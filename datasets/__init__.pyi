from .card import DataCard as DataCard
from .downloads import Download as Download, fetch as fetch
from .location import (
    DatasetNotFoundError as DatasetNotFoundError,
    find_dataset as find_dataset,
    how_to_get as how_to_get,
)
from .merger import merge as merge
from .registry import (
    Conversion as Conversion,
    Loader as Loader,
    get_loader as get_loader,
    loaders as loaders,
)
from .unit_selection import select_units as select_units
