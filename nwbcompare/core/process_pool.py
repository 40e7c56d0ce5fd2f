"""Parallel jobs in processes that end with their parent, with the warnings of each job."""

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
from nwbcompare.kernels.threads import one_thread

Job = tuple[str, Callable[..., Any], tuple[Any, ...]]
"""Name of the job, function, and arguments."""
MANY_VALUES = 3_000_000
"""Number of rates in a recording from which parallel jobs are faster despite their start-up."""


def run_all(
    jobs: Sequence[Job], n_jobs: int | None, desc: str | None = None
) -> tuple[list[Any], list[str]]:
    """Run jobs one after another or in parallel; the results are the same.

    Parameters
    ----------
    jobs
        The jobs. For several processes the functions and arguments must be picklable.
    n_jobs
        Number of processes; None: one for each core. With 1, or a single job, jobs run
        in this process.
    desc
        Label of the progress bar; None: without one, as within a computation that has its own.

    Returns
    -------
    results : list
        Return values in the order of the jobs.
    messages : list of str
        Text of each `UnitWarning`, with the name of its job. Other warnings are issued as usual.

    Raises
    ------
    Exception
        The first error of a job.

    Examples
    --------
    >>> run_all([("length", len, ([1, 2],)), ("sum", sum, ([1, 2],))], 1, "analyses")
    ([2, 3], [])
    """
    # None: not where the output is no terminal
    with tqdm(total=len(jobs), desc=desc, disable=True if desc is None else None) as bar:
        if n_jobs == 1 or len(jobs) == 1:
            results = []
            for job in jobs:
                bar.set_postfix_str(job[0])
                results.append(_run(job))
                bar.update()
        else:
            from joblib import Parallel, cpu_count, delayed  # noqa: PLC0415 - only for large work

            # a generator, so that the bar moves as jobs end
            pool = Parallel(n_jobs=n_jobs or cpu_count(), return_as="generator")
            results = []
            with warnings.catch_warnings():
                # loky replaces a worker whose memory has grown, and no job is lost
                warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
                for result in pool(delayed(ends_with_parent(_run))(job) for job in jobs):
                    results.append(result)
                    bar.update()
    return [result for result, _ in results], [text for _, messages in results for text in messages]


def _run(job: Job) -> tuple[Any, list[str]]:
    name, function, arguments = job
    # one thread in any process, since sums depend on their number in the last digits
    with warnings.catch_warnings(record=True) as records, one_thread():
        # by default, Python issues a warning once per place only
        warnings.simplefilter("always", UnitWarning)
        result = function(*arguments)
    messages = []
    for warning in records:
        if issubclass(warning.category, UnitWarning):
            messages.append(f"{name}: {warning.message}")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return result, messages


LOOK_EVERY_S = 0.5
"""Interval at which a worker checks whether its parent still runs (s)."""


def ends_with_parent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose worker process ends when this process ends.

    The workers of a process pool survive a killed parent and continue their jobs. With this
    function each worker checks twice a second whether its parent still runs, and exits if not.

    Parameters
    ----------
    function
        The function that workers run; picklable.

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
    # false in the parent itself and on another machine, where there is nothing to watch
    if os.getppid() == parent and parent not in _watched:
        _watched.add(parent)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    # sys.exit would wait for the running job
    os._exit(1)
