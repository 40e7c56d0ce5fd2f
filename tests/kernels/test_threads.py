"""One thread of linear algebra: limits hold and end, and an interrupt is never lost."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from nwbcompare.kernels import threads
from nwbcompare.kernels.threads import one_thread


def limits() -> list[int]:
    # a product loads the library
    np.ones((2, 2)) @ np.ones((2, 2))
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_the_limit_holds_within_and_ends() -> None:
    before = limits()
    with one_thread():
        assert set(limits()) == {1}
    assert limits() == before
    with pytest.raises(RuntimeError, match="inside"), one_thread():
        raise RuntimeError("inside")
    assert limits() == before


def test_an_interrupt_during_the_search_for_libraries_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = []

    def search() -> ThreadpoolController:
        where.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        return ThreadpoolController()

    monkeypatch.setattr(threads, "ThreadpoolController", search)
    with pytest.raises(KeyboardInterrupt), one_thread():
        raise AssertionError("the interrupt was lost")
    assert where != [threading.main_thread()]
