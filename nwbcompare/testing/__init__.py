"""For tests, ours and users': an example, an assertion, and strategies of activities."""

from typing import TYPE_CHECKING, Any

from nwbcompare.testing.assertions import assert_same_activity
from nwbcompare.testing.example import example_block

if TYPE_CHECKING:
    from nwbcompare.testing.strategies import broken_blocks, dense_blocks, ragged_blocks

__all__ = [
    "assert_same_activity",
    "broken_blocks",
    "dense_blocks",
    "example_block",
    "ragged_blocks",
]


def __getattr__(name: str) -> Any:
    # hypothesis is an optional dependency: only the strategies need it
    if name in {"broken_blocks", "dense_blocks", "ragged_blocks"}:
        from nwbcompare.testing import strategies  # noqa: PLC0415

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
