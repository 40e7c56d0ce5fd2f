"""Selectivity of units: task variance and FTV, their components, confounds and nulls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
