"""What units are selective for: task variance and FTV, what they are made of, and their nulls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
