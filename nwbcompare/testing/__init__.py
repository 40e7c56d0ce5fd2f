"""For tests, ours and users': an example, and strategies of valid and broken activities."""

from typing import TYPE_CHECKING, Any

from nwbcompare.testing.example import example_block

if TYPE_CHECKING:
    from nwbcompare.testing.strategies import broken_blocks, dense_blocks, ragged_blocks

__all__ = ["broken_blocks", "dense_blocks", "example_block", "ragged_blocks"]


def __getattr__(name: str) -> Any:
    # hypothesis is an optional dependency: only the strategies need it
    if name in {"broken_blocks", "dense_blocks", "ragged_blocks"}:
        from nwbcompare.testing import strategies  # noqa: PLC0415

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
