"""Attribution of similarity to a recording: to one training regime, or to what regimes share."""

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
"""The possible values of ``status`` in `attribution`."""
EVIDENCE = ("difference", "difference_low", "difference_high", "p_value", "p_smallest", "n_pairs")


def attribution(
    result: xr.Dataset,
    primary: tuple[str, str] = ("consolidated", "sequential"),
    controls: Sequence[str] = ("permuted", "uniform"),
) -> xr.Dataset:
    """Test whether networks resemble a recording because of their training regime.

    Similarity is attributed to a regime if its networks are closer to the recording than those of
    the regime it is compared with, and closer than those of every control regime.

    Parameters
    ----------
    result
        From `nwbcompare.comparison.compare_regimes`, with the contrasts of the
        first regime of ``primary`` with its second and with every control.
    primary
        The regime in question and the regime it is compared with. They must be the first
        contrast of ``result``, since only that was fixed in advance.
    controls
        Regimes that share every ingredient but the one in question, such as consolidation with
        permuted or with uniform weight importances.

    Returns
    -------
    xarray.Dataset
        ``status``, one of `STATUSES`, and by ``contrast`` (the primary, then the controls)
        ``verdict`` ("closer", "not closer", "further" or "undecided") and its evidence:
        ``difference``, ``difference_low``, ``difference_high``, ``p_value``, ``p_smallest`` and
        ``n_pairs``, all of the distance.

    Raises
    ------
    InputError
        If ``primary`` is not the first contrast, without controls, and for controls without a
        contrast in ``result``.

    Notes
    -----
    "Closer" requires that the interval lies below 0 *and* that p is below 1 - confidence: the
    interval generalises to other sessions and networks, the sign-flip test assumes no normal
    distribution. Attribution requires every comparison to be significant, so p values are not
    adjusted (intersection-union test; Berger 1982).

    With fewer than six pairs no sign flips reach 0.05, and a comparison is undecided. The status
    is undecided only where that comparison could change it: if the regime is not closer than its
    comparison, or not closer than some control, more pairs with another control are irrelevant.

    Examples
    --------
    >>> result = xr.Dataset(
    ...     {name: (("contrast", "measure"), [[value], [value]])
    ...      for name, value in {"difference": -0.1, "difference_low": -0.15,
    ...                          "difference_high": -0.05, "p_value": 0.008}.items()}
    ...     | {"p_smallest": ("contrast", [0.008, 0.008]), "n_pairs": ("contrast", [8, 8])},
    ...     coords={"measure": ["wasserstein"], "contrast": ["a - b", "a - c"],
    ...             "first": ("contrast", ["a", "a"]), "second": ("contrast", ["b", "c"])},
    ...     attrs={"distance": "wasserstein", "confidence": 0.95})
    >>> attribution(result, ("a", "b"), ["c"])["status"].item()
    'attributed'
    """
    names = [f"{primary[0]} - {other}" for other in (primary[1], *controls)]
    _check(result, names)
    table = result.sel(measure=result.attrs["distance"], contrast=names)
    level = 1 - float(result.attrs["confidence"])
    reached = table["p_value"].values < level
    verdict = np.select(
        [
            table["p_smallest"].values >= level,
            reached & (table["difference_high"].values < 0),
            reached & (table["difference_low"].values > 0),
        ],
        ["undecided", "closer", "further"],
        "not closer",
    )
    return (
        table[list(EVIDENCE)]
        .assign(verdict=("contrast", verdict), status=_status(verdict.tolist()))
        .assign_attrs(analysis="attribution", regime=primary[0])
    )


def _check(result: xr.Dataset, names: list[str]) -> None:
    contrasts = [str(name) for name in result["contrast"].values]
    if contrasts[0] != names[0]:
        raise InputError(
            "primary",
            f"the first contrast of the result, {contrasts[0]!r}",
            repr(names[0]),
            "Only that was fixed in advance: list it first in compare_regimes.",
        )
    if len(names) < 2:
        raise InputError(
            "controls",
            "at least one regime",
            "none",
            "Name the regimes than which it must be closer.",
        )
    for name in names[1:]:
        if name not in contrasts:
            raise unknown_name("contrast", name, contrasts)


def _status(verdicts: list[str]) -> str:
    """Return the status from the verdicts on the primary contrast, then on the controls."""
    attributed, not_beyond, not_closer, further, undecided = STATUSES
    first, *controls = verdicts
    if first != "closer":
        return {"undecided": undecided, "further": further}.get(first, not_closer)
    if set(controls) <= {"closer", "undecided"}:
        return undecided if "undecided" in controls else attributed
    return not_beyond
