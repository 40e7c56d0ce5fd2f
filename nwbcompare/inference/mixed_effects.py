"""Linear mixed-effects models that compare networks with neurons, for nested samples of units."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import Key, UnitSample, group_keys
from nwbcompare.inference.kernels.random_intercepts import nested_mean
from nwbcompare.kernels.intervals import student_half_width

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]
LEAST_RANDOM_ANIMALS = 5
"""Fewer animals are fixed: they do not tell how much animals differ."""
LEAST_SESSIONS = 5
"""Below it simulated tests over sessions do not hold their level; there is no p."""
LEAST_NETWORKS = 3
"""Two networks have one degree of freedom, and one has none; there is no p."""
SINGULAR_SHARE = 1e-5
"""A component below this share of the variance is on the edge of what it can be (0)."""


def _ftv(table: xr.Dataset) -> Array:
    return np.asarray(table["fractional_task_variance"].values, dtype=np.float64)


def _log_task_variance(table: xr.Dataset) -> Array:
    variance = table["task_variance"].transpose(..., "unit", "task").values.astype(np.float64)
    active = (variance > 0).all(axis=-1, keepdims=True)
    log: Array = np.log(np.where(active, variance, np.nan)).mean(axis=-1)
    return log


VARIABLES: dict[str, Callable[[xr.Dataset], Array]] = {
    "absolute": lambda table: np.abs(_ftv(table)),
    "angle": lambda table: np.arcsin(np.minimum(np.abs(_ftv(table)), 1.0)),
    "squared": lambda table: _ftv(table) ** 2,
    "signed": _ftv,
    "log_task_variance": _log_task_variance,
}
"""What of a unit is compared, by name; each gives ``(unit,)`` or ``(draw, unit)``."""


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """The mean of one source with its uncertainty, and where the variance comes from."""

    mean: float
    squared_error: float
    degrees: float
    components: dict[str, float]
    converged: bool
    message: str
    n_groups: int
    n_units: int
    n_left_out: int
    inference: str
    model: str
    """What was fitted, in words."""
    untested: str = ""
    """Why there is no p, else empty."""

    @property
    def singular(self) -> bool:
        total = sum(self.components.values())
        return any(part < SINGULAR_SHARE * total for part in self.components.values())


def mixed_effects(
    tables: Sequence[xr.Dataset], *, variable: str = "absolute", confidence: float = 0.95
) -> xr.Dataset:
    """Compare units of networks and of recordings by linear mixed-effects models.

    Parameters
    ----------
    tables
        Tables from `nwbcompare.fractional_task_variance` (or `nwbcompare.task_variance`), one per
        network and one or more of recordings. ``attrs["source"]`` is "model" or "recording",
        ``attrs["name"]`` the name of the network. Recordings need the unit column ``session``.
    variable
        The variable that is compared: "absolute" (default, |FTV|, the scale of the figures),
        "angle" (arcsin |FTV|), "squared" (FTV^2; the root of its mean is the s.d. about 0),
        "signed" (FTV) or "log_task_variance" (mean over tasks of log TV; rates must have the same
        units).
    confidence
        Coverage of the intervals.

    Returns
    -------
    xarray.Dataset
        ``effect`` (models minus recordings) with ``effect_low``, ``effect_high``, ``effect_size``
        (in s.d. of units, from the mean of both sources' variances), ``t``, ``df`` and ``p_value``;
        by ``source``: ``mean``, ``mean_low``, ``mean_high``, ``source_df``, ``n_groups``,
        ``n_units``, ``n_left_out`` (units without a value), ``converged``, ``singular`` and
        ``message``; by ``component``: ``variance`` and ``share`` in the variance of its source (of
        a group: its intraclass correlation).

    Raises
    ------
    InputError
        For an unknown variable, names that occur twice, and an animal in two recordings.
    NotApplicableError
        For no network or no recording, task variances in different units, fewer than two groups,
        and values that do not vary.

    Warns
    -----
    UserWarning
        For a fit that did not converge. A component of 0 (``singular``) is a valid result.

    Notes
    -----
    The model is y = source + animal + session + e for neurons and y = source + network + unit + e
    for networks (units may be sampled several times, as on several axes of targets). Networks,
    units and sessions are random. Animals are random from 5 on; fewer are fixed, each with a mean
    and variances of its own, of which the mean is taken: the result is about these animals.
    ``attrs["model"]`` says what was fitted. Each source has its own variances, the residual one
    included, so that the restricted likelihood is a product of two, which are maximised separately
    (`nwbcompare.inference.kernels.random_intercepts`; tests compare it with MixedLM of
    statsmodels). Several draws of a unit are averaged first.

    With fewer than 3 networks, or fewer than 5 sessions of a fixed animal, there is no p and no
    interval of the effect; ``attrs["untested"]`` has the reason.

    The variance of a level with one member cannot be estimated; the level is left out, ``left_out``
    has the reason, and ``unit_of_inference`` the resulting scope of the test. z tests are too
    liberal for few groups. Means use Student's t with (outermost groups - 1) degrees of freedom,
    which is exact for groups of equal size; the difference uses Satterthwaite's approximation. For
    groups of equal size, and more variance between than within groups, this is Welch's t test of
    the group means. `benchmarks/inference_errors.py` has the false-positive rates.

    |FTV| is bounded, so that its means are nearly normal for any distribution of units. The angle
    is the variance-stabilising transformation of a proportion (here TV_a / (TV_a + TV_b)); unlike
    atanh |FTV| it is finite at |FTV| = 1, where many network units lie.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> def table(name, source, sd):
    ...     return xr.Dataset(
    ...         {"fractional_task_variance": ("unit", np.tanh(sd * rng.standard_normal(60)))},
    ...         coords={"session": ("unit", np.repeat(np.arange(12), 5))},
    ...         attrs={"name": name, "source": source})
    >>> found = mixed_effects(
    ...     [table(n, "model", 2.0) for n in "abc"] + [table("m", "recording", 0.3)])
    >>> bool(found["p_value"] < 0.05), found.attrs["unit_of_inference"]
    (True, 'networks; sessions of one animal')
    """
    if variable not in VARIABLES:
        raise unknown_name("variable", variable, VARIABLES)
    if not 0.5 < confidence < 1:
        raise InputError(
            "confidence", "a number between 0.5 and 1", repr(confidence), "Use confidence=0.95."
        )
    models, recordings = (_of_source(tables, source) for source in ("model", "recording"))
    _check(models, recordings, variable)
    fits = {
        "model": _fit_models(models, variable),
        "recording": _fit_recordings(recordings, variable),
    }
    for source, fit in fits.items():
        if not fit.converged:
            warnings.warn(
                f"the mixed model of the {source}s did not converge: {fit.message}",
                UserWarning,
                stacklevel=2,
            )
    return _result(fits, confidence).assign_attrs(variable=variable)


def _of_source(tables: Sequence[xr.Dataset], source: str) -> list[xr.Dataset]:
    matches = [table for table in tables if table.attrs.get("source") == source]
    if not matches:
        raise NotApplicableError(
            "tables",
            "one or more of source 'model' and of source 'recording'",
            f"none of source {source!r}",
            'Set attrs["source"] of each table.',
        )
    return matches


def _check(models: list[xr.Dataset], recordings: list[xr.Dataset], variable: str) -> None:
    names = [str(table.attrs.get("name", "")) for table in models]
    if len(set(names)) < len(names):
        raise InputError(
            "tables", "different names of networks", listing(names), 'Set attrs["name"].'
        )
    needed = "task_variance" if variable == "log_task_variance" else "fractional_task_variance"
    for table in (*models, *recordings):
        if needed not in table:
            raise unknown_name(
                f"variable {variable!r}: data of {table.attrs.get('name', '')!r}",
                needed,
                [str(name) for name in table.data_vars],
            )
    for table in recordings:
        UnitSample(table).check_sessions()
    animals = [name for table in recordings for name in np.unique(UnitSample(table).animals)]
    if twice := sorted({str(name) for name in animals if animals.count(name) > 1}):
        raise InputError(
            "tables",
            "each animal in one recording",
            f"{listing(twice)} in two",
            "Join the sessions of one animal in one recording, or name two animals differently "
            "(unit column subject).",
        )
    if variable == "log_task_variance":
        units = {str(t["task_variance"].attrs.get("units")) for t in (*models, *recordings)}
        if len(units) > 1:
            raise NotApplicableError(
                "task_variance",
                "the same units in models and recordings",
                listing(sorted(units)),
                "Sample the networks at the recording's rates first.",
            )


def _values(table: xr.Dataset, variable: str) -> Array:
    """Return one value per unit, the mean over its draws; NaN where no draw has one."""
    values = VARIABLES[variable](table.transpose("draw", "unit", ..., missing_dims="ignore"))
    if values.ndim == 1:
        return values
    finite = np.isfinite(values)
    number = finite.sum(axis=0)
    total: Array = np.where(finite, values, 0).sum(axis=0)
    mean: Array = np.full(total.shape, np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean


def _fit_recordings(tables: list[xr.Dataset], variable: str) -> _Fit:
    """Fit animals as random where there are enough, else the mean of fixed ones."""
    values = _all_values(tables, variable)
    keys = [key for table in tables for key in UnitSample(table).session_keys()]
    levels = {"animal": _codes([key[:1] for key in keys]), "session": _codes(keys)}
    # animals without a value do not count
    n_animals = np.unique(levels["animal"][np.isfinite(values)]).size
    if n_animals >= LEAST_RANDOM_ANIMALS:
        return _fit(values, levels, "animals", "animals and their sessions random")
    if n_animals < 2:
        return _of_animal(values, levels["session"])
    each = []
    for animal in range(int(levels["animal"].max()) + 1):
        own = levels["animal"] == animal
        session = np.unique(levels["session"][own], return_inverse=True)[1]
        if np.isfinite(values[own]).any():
            each.append(_of_animal(values[own], session))
    return _of_fixed_animals(each)


def _of_animal(values: Array, session: Labels) -> _Fit:
    """Fit the sessions of one animal, which is fixed."""
    fit = _fit(
        values, {"session": session}, "sessions of one animal", "one animal, sessions random"
    )
    if fit.n_groups >= LEAST_SESSIONS:
        return fit
    few = f"{fit.n_groups} sessions: a test over sessions needs {LEAST_SESSIONS} or more"
    return replace(fit, untested=few)


def _of_fixed_animals(fits: list[_Fit]) -> _Fit:
    """Return the mean over fixed animals, whose errors are independent."""
    n = len(fits)
    squares = np.array([fit.squared_error for fit in fits])
    degrees = np.array([fit.degrees for fit in fits])
    # an animal with one unit in each session has no component of sessions
    names = dict.fromkeys(name for fit in fits for name in fit.components)
    return _Fit(
        mean=float(np.mean([fit.mean for fit in fits])),
        squared_error=float(squares.sum()) / n**2,
        degrees=float(satterthwaite(squares, degrees)),
        components={
            name: float(np.mean([fit.components.get(name, 0.0) for fit in fits])) for name in names
        },
        converged=all(fit.converged for fit in fits),
        message="; ".join(fit.message for fit in fits if fit.message),
        n_groups=sum(fit.n_groups for fit in fits),
        n_units=sum(fit.n_units for fit in fits),
        n_left_out=sum(fit.n_left_out for fit in fits),
        inference=f"sessions of {n} fixed animals",
        model=f"{n} animals fixed, their sessions random",
        untested=next((fit.untested for fit in fits if fit.untested), ""),
    )


def _fit_models(tables: list[xr.Dataset], variable: str) -> _Fit:
    keys = [
        (str(network), *key)
        for network, table in enumerate(tables)
        for key in UnitSample(table).keys("network_unit")
    ]
    levels = {"network": _codes([key[:1] for key in keys]), "network unit": _codes(keys)}
    values = _all_values(tables, variable)
    if len(tables) == 1:
        return _fit(
            values,
            {"network unit": levels["network unit"]},
            "units of one network",
            "one network, units random",
        )
    fit = _fit(values, levels, "networks", "networks and their units random")
    if fit.n_groups >= LEAST_NETWORKS:
        return fit
    few = f"{fit.n_groups} networks: a test over networks needs {LEAST_NETWORKS} or more"
    return replace(fit, untested=few)


def _codes(keys: list[Key]) -> Labels:
    return group_keys(keys).code


def _all_values(tables: list[xr.Dataset], variable: str) -> Array:
    """Return the values of all units of all tables, one table after the other."""
    return np.concatenate([_values(table, variable) for table in tables])


def _fit(values: Array, levels: dict[str, Labels], inference: str, model: str) -> _Fit:
    """Fit an intercept with the random levels that have something to estimate."""
    finite = np.isfinite(values)
    y = values[finite]
    codes = {name: np.unique(of[finite], return_inverse=True)[1] for name, of in levels.items()}
    n_groups = int(next(iter(codes.values())).max(initial=-1)) + 1
    if y.size < 2 or n_groups < 2 or not np.ptp(y) > 0:
        raise NotApplicableError(
            f"tables, for inference over {inference}",
            "two or more groups, and values that vary",
            f"{y.size} values in {n_groups} groups, spread {np.ptp(y) if y.size else 0:g}",
            "Give more sessions or networks, or look at which units are active.",
        )
    # a level with one value per group cannot be separated from the residual
    random = {name: code for name, code in codes.items() if code.max() + 1 < y.size}
    estimate = nested_mean(y, list(random.values()))
    return _Fit(
        mean=estimate.mean,
        squared_error=estimate.squared_error,
        degrees=n_groups - 1,
        components=dict(zip([*random, "residual"], estimate.components.tolist(), strict=True)),
        converged=estimate.converged,
        message=estimate.message,
        n_groups=n_groups,
        n_units=y.size,
        n_left_out=int((~finite).sum()),
        inference=inference,
        model=model,
    )


def _result(fits: dict[str, _Fit], confidence: float) -> xr.Dataset:
    model, recording = fits["model"], fits["recording"]
    squares = np.array([fit.squared_error for fit in fits.values()])
    degrees = np.array([fit.degrees for fit in fits.values()])
    effect, df = model.mean - recording.mean, satterthwaite(squares, degrees)
    error = np.sqrt(squares.sum())
    untested = model.untested or recording.untested
    half, p = student_half_width(error, df, confidence), two_sided_p(effect / error, df)
    if untested:
        half, p = half * np.nan, p * np.nan
    # both sources count equally, whatever their numbers of units
    spread = np.sqrt(np.mean([sum(fit.components.values()) for fit in fits.values()]))
    by_source = {
        "mean": [fit.mean for fit in fits.values()],
        "n_groups": [fit.n_groups for fit in fits.values()],
        "n_units": [fit.n_units for fit in fits.values()],
        "n_left_out": [fit.n_left_out for fit in fits.values()],
        "converged": [fit.converged for fit in fits.values()],
        "singular": [fit.singular for fit in fits.values()],
        "message": [fit.message for fit in fits.values()],
        "source_df": degrees,
    }
    halves = student_half_width(np.sqrt(squares), degrees, confidence)
    return xr.Dataset(
        {
            "effect": effect,
            "effect_low": effect - half,
            "effect_high": effect + half,
            "effect_size": effect / spread,
            "t": effect / error,
            "df": df,
            "p_value": p,
            **{name: ("source", values) for name, values in by_source.items()},
            "mean_low": ("source", np.array(by_source["mean"]) - halves),
            "mean_high": ("source", np.array(by_source["mean"]) + halves),
            **_components(fits),
        },
        coords={
            "source": list(fits),
            "component": [f"{s}: {name}" for s, fit in fits.items() for name in fit.components],
        },
        attrs={
            "analysis": "mixed_effects",
            "confidence": confidence,
            "test": "two-sided t, degrees of freedom by Satterthwaite from those of the sources",
            "model": "; ".join(fit.model for fit in fits.values()),
            "untested": untested,
            "unit_of_inference": "; ".join(fit.inference for fit in fits.values()),
            "left_out": json.dumps(_left_out(fits)),
        },
    )


def _components(fits: dict[str, _Fit]) -> dict[str, Any]:
    variance = [list(fit.components.values()) for fit in fits.values()]
    share = [np.array(parts) / sum(parts) for parts in variance]
    return {
        "variance": ("component", np.concatenate(variance)),
        "share": ("component", np.concatenate(share)),
    }


def _left_out(fits: dict[str, _Fit]) -> list[str]:
    reasons = []
    if "network" not in fits["model"].components and fits["model"].inference != "networks":
        reasons.append("network: one only, so nothing can be inferred about other networks")
    if "animal" not in fits["recording"].components:
        one = fits["recording"].inference == "sessions of one animal"
        number = "one only" if one else "few, and fixed"
        reasons.append(f"animal: {number}, so nothing can be inferred about other animals")
    return reasons


def satterthwaite(squared_errors: Array, degrees: Array) -> Array:
    """Compute the degrees of freedom of a sum of squared errors (Satterthwaite 1946).

    Parameters
    ----------
    squared_errors
        ``(..., term)``: independent squared standard errors.
    degrees
        ``(..., term)``: their degrees of freedom.

    Returns
    -------
    numpy.ndarray
        ``(...)``.

    Examples
    --------
    >>> float(satterthwaite(np.array([1.0, 1.0]), np.array([4, 4])))
    8.0
    """
    combined: Array = squared_errors.sum(axis=-1) ** 2 / (squared_errors**2 / degrees).sum(axis=-1)
    return combined


def two_sided_p(t: Array | float, degrees: Array | float) -> Array:
    """Compute the two-sided p value of Student's t.

    Parameters
    ----------
    t, degrees
        Statistics and their degrees of freedom, broadcast against each other.

    Returns
    -------
    numpy.ndarray
        p values.

    Examples
    --------
    >>> float(two_sided_p(2.776, 4).round(3))
    0.05
    """
    from scipy.special import stdtr  # noqa: PLC0415 - slow to import

    p: Array = 2 * stdtr(degrees, -np.abs(t))
    return p
