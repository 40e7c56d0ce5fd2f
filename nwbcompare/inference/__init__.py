"""Inference over networks, sessions and animals: intervals, mixed effects, adjusted p values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
