from .assertions import assert_same_activity as assert_same_activity
from .example import example_block as example_block
from .loader_rules import check_loader as check_loader
from .strategies import (
    broken_blocks as broken_blocks,
    dense_blocks as dense_blocks,
    ragged_blocks as ragged_blocks,
)
