"""For tests, ours and users': an example, an assertion, and strategies of activities."""

import lazy_loader

# hypothesis is an optional dependency: only the strategies need it
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
