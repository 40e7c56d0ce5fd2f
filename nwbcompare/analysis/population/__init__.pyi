from .compositionality import (
    COMPOSITIONS as COMPOSITIONS,
    composition_cosine as composition_cosine,
    composition_over_networks as composition_over_networks,
    composition_rank as composition_rank,
    pairing_null as pairing_null,
)
from .decoding import (
    decode as decode,
    implementable_classifications as implementable_classifications,
)
from .partial_similarity import partial_similarity as partial_similarity
from .population import (
    dimensionality as dimensionality,
    dissimilarity as dissimilarity,
    population_means as population_means,
)
from .pseudo_population import pseudo_population as pseudo_population
from .similarity import compare_populations as compare_populations
from .task_vectors import (
    TASK_SETS as TASK_SETS,
    condition_vectors as condition_vectors,
    rule_vectors as rule_vectors,
    task_space as task_space,
    task_vectors as task_vectors,
)
