"""Numbers of threads of torch operations, on which their rounding depends."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run torch operations with one thread each inside a ``with`` block.

    Setting the number of threads takes longer than a training step, so it is done once outside
    of a loop over steps.

    Examples
    --------
    >>> with one_thread_each():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before != 1:
            torch.set_num_threads(before)


def threads(number: int) -> ThreadPoolExecutor:
    """Return a pool of threads in which torch operations use one thread each."""
    # OpenMP counts threads separately for each thread that calls it
    return ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,))
