"""Tools for tests: an example block, an assertion on activities, and hypothesis strategies."""

import lazy_loader

# hypothesis is an optional dependency: only the strategies need it
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
