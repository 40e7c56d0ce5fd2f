"""Jobs side by side in processes that end with their parent, and what the jobs warned of."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tqdm import tqdm

from nwbcompare.core.errors import UnitWarning

Job = tuple[str, Callable[..., Any], tuple[Any, ...]]
"""What it is, the function, and its arguments."""
MANY_VALUES = 3_000_000
"""Rates in a recording from which processes pay for their start."""


def run_all(jobs: Sequence[Job], n_jobs: int, desc: str) -> tuple[list[Any], list[str]]:
    """Run jobs, one after another or side by side; the results are the same.

    Parameters
    ----------
    jobs
        The jobs.
    n_jobs
        Processes; with 1 all is done in this one.
    desc
        The progress bar's words.

    Returns
    -------
    results : list
        In the order of the jobs.
    heard : list of str
        What each warned of units.
    """
    with tqdm(total=len(jobs), desc=desc, disable=None) as bar:
        if n_jobs == 1:
            done = []
            for job in jobs:
                bar.set_postfix_str(job[0])
                done.append(_run(job))
                bar.update()
        else:
            from joblib import Parallel, delayed  # noqa: PLC0415 - only where there is much to do

            pool = Parallel(n_jobs=n_jobs, return_as="generator")
            done = []
            with warnings.catch_warnings():
                # loky replaces a worker whose memory has grown, and no job is lost
                warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
                for result in pool(delayed(ends_with_parent(_run))(job) for job in jobs):
                    done.append(result)
                    bar.update()
    return [result for result, _ in done], [text for _, heard in done for text in heard]


def _run(job: Job) -> tuple[Any, list[str]]:
    what, function, arguments = job
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnitWarning)
        result = function(*arguments)
    heard = []
    for warning in caught:
        if issubclass(warning.category, UnitWarning):
            heard.append(f"{what}: {warning.message}")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return result, heard


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
    return partial(_run_watched, os.getpid(), function)


def _run_watched(parent: int, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
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
