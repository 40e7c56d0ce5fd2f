from .control_networks import (
    stimulus_only as stimulus_only,
    untrained as untrained,
    with_gaussian_rules as with_gaussian_rules,
)
from .lesion_statistics import lesion_statistic as lesion_statistic
from .lesions import (
    lesion_controls as lesion_controls,
    lesion_performance as lesion_performance,
    matched_lesion_controls as matched_lesion_controls,
)
from .psychometrics import (
    group_lesions as group_lesions,
    pooled_over as pooled_over,
    psychometric_curves as psychometric_curves,
)
from .rule_composition import (
    RULE_COMPOSITIONS as RULE_COMPOSITIONS,
    composition_performance as composition_performance,
    parse_rule_expression as parse_rule_expression,
    rule_composition as rule_composition,
)
from .rule_learning import (
    RuleLearning as RuleLearning,
    learn_rules as learn_rules,
    rule_learning_configs as rule_learning_configs,
)
from .rule_learning_curves import moved_rows as moved_rows, rule_learning_logs as rule_learning_logs
from .weights import network_weights as network_weights
