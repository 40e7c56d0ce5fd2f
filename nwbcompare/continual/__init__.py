"""Networks that learn one task after another, held against a recording."""

from nwbcompare.continual.settings import Settings
from nwbcompare.continual.study import continual, settings_of, train_only

__all__ = ["Settings", "continual", "settings_of", "train_only"]
