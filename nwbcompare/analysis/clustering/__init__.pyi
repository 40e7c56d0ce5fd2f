from .cluster_matching import match_clusters as match_clusters
from .cluster_null import (
    cluster_null as cluster_null,
    describe_rotated as describe_rotated,
    describe_shuffled as describe_shuffled,
)
from .cluster_stability import cluster_stability as cluster_stability
from .clusters import cluster_units as cluster_units, embed_units as embed_units
from .epairs import epairs as epairs
