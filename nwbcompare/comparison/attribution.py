"""Whether similarity to a recording is attributed to a training regime, or to what it shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from nwbcompare.core.errors import InputError, unknown_name

STATUSES = (
    "attributed",
    "closer, but not beyond the controls",
    "not closer",
    "further",
    "undecided: too few pairs",
)
"""What `attribution` may say."""


def attribution(
    result: xr.Dataset,
    primary: tuple[str, str] = ("consolidated", "sequential"),
    controls: Sequence[str] = ("permuted", "uniform"),
) -> xr.Dataset:
    """Say whether similarity to a recording is attributed to a training regime.

    Parameters
    ----------
    result
        From `nwbcompare.comparison.compare_regimes`, with the contrasts of the
        first regime of ``primary`` with its second and with every control.
    primary
        The regime that similarity may be attributed to, and what it is held against: the first
        contrast of ``result``, since only that was fixed in advance.
    controls
        Regimes with the same ingredients but without what similarity may be attributed to.

    Returns
    -------
    xarray.Dataset
        ``status``, one of `STATUSES`, and by ``contrast`` (the primary, then the controls)
        ``verdict`` ("closer", "not closer", "further" or "undecided") with what it stands on:
        ``difference``, ``difference_low``, ``difference_high``, ``p_value``, ``p_smallest`` and
        ``n_pairs``, all of the distance.

    Raises
    ------
    InputError
        If ``primary`` is not the first contrast, for no controls, and controls that the result
        has no contrast with.

    Notes
    -----
    Closer means that the interval lies below 0 *and* p is below 1 - confidence: the one is about
    other sessions and networks, the other needs no normal distribution. Attribution needs every
    comparison, so none is adjusted: that all of several tests reject is no likelier than that
    the least of them does (intersection-union test; Berger 1982).

    With fewer than six pairs no sign flips reach 0.05, so the comparison is undecided, whatever
    was found. That decides over the whole only where it could change it: a regime that is not
    closer, or beaten by one control, is not attributed by more pairs with another.

    Examples
    --------
    >>> found = xr.Dataset(
    ...     {name: (("contrast", "measure"), [[value], [value]])
    ...      for name, value in {"difference": -0.1, "difference_low": -0.15,
    ...                          "difference_high": -0.05, "p_value": 0.008}.items()}
    ...     | {"p_smallest": ("contrast", [0.008, 0.008]), "n_pairs": ("contrast", [8, 8])},
    ...     coords={"measure": ["wasserstein"], "contrast": ["a - b", "a - c"],
    ...             "first": ("contrast", ["a", "a"]), "second": ("contrast", ["b", "c"])},
    ...     attrs={"distance": "wasserstein", "confidence": 0.95})
    >>> attribution(found, ("a", "b"), ["c"])["status"].item()
    'attributed'
    """
    names = [f"{primary[0]} - {other}" for other in (primary[1], *controls)]
    _check(result, names)
    own = result.sel(measure=result.attrs["distance"], contrast=names)
    level = 1 - float(result.attrs["confidence"])
    reached = own["p_value"].values < level
    verdict = np.select(
        [
            own["p_smallest"].values >= level,
            reached & (own["difference_high"].values < 0),
            reached & (own["difference_low"].values > 0),
        ],
        ["undecided", "closer", "further"],
        "not closer",
    )
    kept = ("difference", "difference_low", "difference_high", "p_value", "p_smallest", "n_pairs")
    return (
        own[list(kept)]
        .assign(verdict=("contrast", verdict), status=_status(verdict.tolist()))
        .assign_attrs(analysis="attribution", regime=primary[0])
    )


def _check(result: xr.Dataset, names: list[str]) -> None:
    known = [str(name) for name in result["contrast"].values]
    if known[0] != names[0]:
        raise InputError(
            "primary",
            f"the first contrast of the result, {known[0]!r}",
            repr(names[0]),
            "Only that was fixed in advance: name it first in compare_regimes.",
        )
    if len(names) < 2:
        raise InputError(
            "controls", "at least one regime", "none", "Give those that it must be closer than."
        )
    for name in names[1:]:
        if name not in known:
            raise unknown_name("contrast", name, known)


def _status(verdicts: list[str]) -> str:
    """Put the verdicts on the primary contrast and the controls together."""
    attributed, not_beyond, not_closer, further, undecided = STATUSES
    first, *controls = verdicts
    if first != "closer":
        return {"undecided": undecided, "further": further}.get(first, not_closer)
    if set(controls) <= {"closer", "undecided"}:
        return undecided if "undecided" in controls else attributed
    return not_beyond
