"""Names of input and output channels, and the rings of direction-tuned channels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

RING_SIZE = 32
RING_DIRECTIONS: npt.NDArray[np.float64] = np.arange(RING_SIZE) * 2 * np.pi / RING_SIZE
"""Preferred directions (rad) of the channels of a ring, from 0 to below 2 pi."""
# the tuning of the published networks
BUMP_WIDTH = np.pi / 8
BUMP_HEIGHT = 0.8

RULES: dict[str, str] = {
    "fdgo": "Go",
    "reactgo": "RT Go",
    "delaygo": "Dly Go",
    "fdanti": "Anti",
    "reactanti": "RT Anti",
    "delayanti": "Dly Anti",
    "dm1": "DM 1",
    "dm2": "DM 2",
    "contextdm1": "Ctx DM 1",
    "contextdm2": "Ctx DM 2",
    "multidm": "MultSen DM",
    "delaydm1": "Dly DM 1",
    "delaydm2": "Dly DM 2",
    "contextdelaydm1": "Ctx Dly DM 1",
    "contextdelaydm2": "Ctx Dly DM 2",
    "multidelaydm": "MultSen Dly DM",
    "dmsgo": "DMS",
    "dmsnogo": "DNMS",
    "dmcgo": "DMC",
    "dmcnogo": "DNMC",
}
"""The 20 published tasks, name to display name, in the order of their rule channels."""

MODALITIES = (1, 2)
SENSORY_CHANNELS: tuple[str, ...] = (
    "fixation",
    *(f"modality{m}_{place:02d}" for m in MODALITIES for place in range(RING_SIZE)),
)
N_SENSORY = len(SENSORY_CHANNELS)
OUTPUT_CHANNELS: tuple[str, ...] = (
    "fixation",
    *(f"response_{place:02d}" for place in range(RING_SIZE)),
)


def input_channels(rules: Iterable[str] = RULES) -> tuple[str, ...]:
    """Return the names of the input channels: fixation, two rings, and one for each rule.

    Examples
    --------
    >>> len(input_channels()), input_channels(["fdgo"])[-1]
    (85, 'rule_fdgo')
    """
    return (*SENSORY_CHANNELS, *(f"rule_{rule}" for rule in rules))


def modality_channels(modality: int) -> slice:
    """Return the input channels of the ring of a modality, 1 or 2.

    Examples
    --------
    >>> modality_channels(2)
    slice(33, 65, None)
    """
    first = SENSORY_CHANNELS.index(f"modality{modality}_00")
    return slice(first, first + RING_SIZE)


def response_channels() -> slice:
    """Return the output channels of the response ring.

    Examples
    --------
    >>> response_channels()
    slice(1, 33, None)
    """
    first = OUTPUT_CHANNELS.index("response_00")
    return slice(first, first + RING_SIZE)


def angular_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute the angular distance of two directions (rad), from 0 to pi.

    Examples
    --------
    >>> round(float(angular_distance(0.1, 2 * np.pi - 0.1)), 3)
    0.2
    """
    difference = np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)) % (2 * np.pi)
    distance: npt.NDArray[np.float64] = np.minimum(difference, 2 * np.pi - difference)
    return distance


def bump(direction: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the activity of a ring for directions (rad).

    ``0.8 * exp(-0.5 * (distance / (pi / 8))**2)`` with the angular distance from the preferred
    direction of a channel (Yang et al. 2019).

    Parameters
    ----------
    direction
        ``(...)`` (rad).

    Returns
    -------
    numpy.ndarray
        ``(..., ring)``, with 32 channels.

    Examples
    --------
    >>> float(bump(np.array(0.0))[0])
    0.8
    """
    distance = angular_distance(direction[..., None], RING_DIRECTIONS)
    return BUMP_HEIGHT * np.exp(-0.5 * (distance / BUMP_WIDTH) ** 2)


def read_direction(ring: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Compute the direction of the population vector of a ring.

    Parameters
    ----------
    ring
        Activity ``(..., ring)``, with 32 channels.

    Returns
    -------
    numpy.ndarray
        ``(...)`` (rad), from 0 to 2 pi.

    Examples
    --------
    >>> round(float(read_direction(bump(np.array(1.5)))), 3)
    1.5
    """
    y, x = ring @ np.sin(RING_DIRECTIONS), ring @ np.cos(RING_DIRECTIONS)
    direction: npt.NDArray[np.float64] = np.arctan2(y, x) % (2 * np.pi)
    return direction
