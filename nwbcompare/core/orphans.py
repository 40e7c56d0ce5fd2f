"""Worker processes that end with the process that started them, also where that is killed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

LOOK_EVERY_S = 0.5


def ends_with_parent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function for a pool of processes, whose workers then end with this process.

    A pool's workers survive a killed parent and work on what they were given. Here each looks
    twice a second whether its parent is still there, and else ends at once.

    Parameters
    ----------
    function
        What workers run; picklable.

    Examples
    --------
    >>> ends_with_parent(len)([1, 2])
    2
    """
    return partial(_run, os.getpid(), function)


def _run(parent: int, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    _watch(parent)
    return function(*arguments, **options)


_watched: set[int] = set()


def _watch(parent: int) -> None:
    # this process itself, and workers of another machine, have no parent of this number
    if os.getppid() == parent and parent not in _watched:
        _watched.add(parent)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    # no clean-up: it would wait for the work to end
    os._exit(1)
