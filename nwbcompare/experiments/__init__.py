"""Experiments on networks: lesions, summed rules, psychometric curves, learning by rule inputs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
