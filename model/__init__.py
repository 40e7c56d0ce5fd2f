"""Networks: configuration, training, run folders, recording. The only place that uses torch."""

import lazy_loader

# a copy under another name would have classes of its own
if __name__ != "nwbcompare.model":
    raise ImportError("this folder is the package nwbcompare.model: import it by that name")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
