"""Published formulas in plain numpy, against which the library is held."""

from __future__ import annotations

import numpy as np


def brute_cosine(values, a, b, c, d):
    x, y = values[a] - values[b], values[c] - values[d]
    return x @ y / np.sqrt((x @ x) * (y @ y))
