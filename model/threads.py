"""Threads of torch: one each, so that results do not depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run torch operations in one thread each.

    Changing the number takes longer than a training step, so the caller does it once.
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
    """Give threads whose torch operations run in one thread each."""
    return ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,))
