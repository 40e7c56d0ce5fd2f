"""Networks that learn one task after another, held against a recording."""

from nwbcompare.continual.settings import Settings

__all__ = ["Settings"]
