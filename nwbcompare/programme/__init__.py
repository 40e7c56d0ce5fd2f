"""The whole programme of Yang et al. 2019 on networks and recordings."""

from nwbcompare.programme.analyze import analyze
from nwbcompare.programme.parts import PARTS
from nwbcompare.programme.subject import Settings

__all__ = ["PARTS", "Settings", "analyze"]
