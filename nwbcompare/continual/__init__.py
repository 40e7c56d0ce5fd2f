"""Networks that learn one task after another, held against a recording."""

from nwbcompare.continual.settings import Settings
from nwbcompare.continual.study import continual

__all__ = ["Settings", "continual"]
