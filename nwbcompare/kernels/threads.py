"""Linear algebra in one thread, without the loss of an interrupt."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within a ``with`` block, as sums depend on their number.

    Yields
    ------
    None
        Libraries of linear algebra that are loaded by then use one thread.

    Examples
    --------
    >>> with one_thread():
    ...     1 + 1
    2
    """
    # threadpoolctl looks for libraries in a callback of C, in which Python prints an interrupt and
    # goes on; interrupts reach the main thread alone, which only waits here
    with ThreadPoolExecutor(1) as pool:
        controller = pool.submit(ThreadpoolController).result()
    with controller.limit(limits=1):
        yield
