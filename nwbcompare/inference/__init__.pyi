from .mixed_effects import mixed_effects as mixed_effects
from .multiple_comparisons import adjust_p as adjust_p
from .networks import over_networks as over_networks
from .prevalence import prevalence as prevalence
from .random_effects import over_animals as over_animals
