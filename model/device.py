"""Devices on which a network runs."""

from __future__ import annotations

import torch

from nwbcompare.core.errors import InputError


def check_device(device: str) -> str:
    """Check that a device is available; return it.

    Raises
    ------
    InputError
        For anything but "cpu", or "cuda" where torch finds such a device.

    Examples
    --------
    >>> check_device("cpu")
    'cpu'
    """
    kind = device.partition(":")[0]
    if kind == "cpu" or (kind == "cuda" and torch.cuda.is_available()):
        return device
    raise InputError(
        "device",
        "'cpu', or 'cuda' where torch finds one",
        f"{device!r}, and torch {torch.__version__} finds "
        + ("CUDA" if torch.cuda.is_available() else "no CUDA"),
        "Use device='cpu', or install a CUDA build of torch on a machine with a GPU.",
    )
