"""Task-trained networks and recorded neurons, through one analysis.

Everything that has units and trials becomes the same labelled object, an activity; every
analysis takes it and cannot know where it came from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
