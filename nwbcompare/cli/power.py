"""Command ``nwbcompare power``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from nwbcompare.cli.terminal import echo
from nwbcompare.core.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


@click.command("power")
@click.option("--sd", required=True, type=float, help="S.d. of the true FTV of the recording.")
@click.option("--against", required=True, type=float, help="S.d. of the true FTV of the networks.")
@click.option("--units", default="25,50,100,200,400", help="Numbers of recorded units.")
@click.option("--trials", default="10,20,40,80,160", help="Numbers of trials per condition.")
@click.option("--power", default=0.8, help="Target power.")
@click.option("--alpha", default=0.05, help="Level of the two-sided test.")
@click.option("--networks", default=5, help="Number of networks.")
@click.option("--units-per-session", default=7, help="Recorded units per session.")
@click.option("--session-correlation", default=0.1, help="Correlation of |FTV| within a session.")
@click.option(
    "--noise-share",
    default=0.4,
    help="Share of trial noise in the measured variance of a typical unit.",
)
@click.option(
    "--noise-trials", default=126.0, help="Trials per condition to which --noise-share refers."
)
@click.option("--like", help="SOURCE of a recording from which the noise is estimated instead.")
@click.option(
    "--estimator",
    type=click.Choice(["raw", "corrected"]),
    default="raw",
    help="Task variance as measured, or corrected for noise.",
)
@click.option("--simulations", "n_simulations", default=1000, help="Simulated data sets.")
@click.option("--seed", default=0, help="Seed of the simulations.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def power_command(
    sd: float,
    against: float,
    units: str,
    trials: str,
    networks: int,
    units_per_session: int,
    session_correlation: float,
    noise_share: float,
    noise_trials: float,
    like: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compute the power to distinguish two standard deviations of FTV.

    Recordings and networks whose true FTV have these standard deviations are simulated, both with
    the same trial noise, and compared by the mixed-effects test. Defaults are those of monkey A
    (Mante et al. 2013).

    \b
    Examples:
      nwbcompare power --sd 0.33 --against 0.5
      nwbcompare power --sd 0.33 --against 0.5 --units 50,100,200 --trials 20,40 --json
      nwbcompare power --sd 0.33 --against 0.5 --like "mante2013?animal=ar" --estimator corrected
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.comparison.power import (  # noqa: PLC0415 - slow to import
        Grouping,
        TrialNoise,
        power_analysis,
        trial_noise,
    )

    noise = TrialNoise(share=noise_share, trials=noise_trials)
    if like is not None:
        from nwbcompare.workflows.sources import resolve  # noqa: PLC0415 - imports torch

        noise = trial_noise(resolve(like))
    result = power_analysis(
        sd,
        against,
        units=_numbers("--units", units),
        trials=_numbers("--trials", trials),
        noise=noise,
        grouping=Grouping(
            networks=networks,
            units_per_session=units_per_session,
            session_correlation=session_correlation,
        ),
        **options,
    )
    echo(json.dumps(_plain(result)) if as_json else _table(result))


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise InputError(
            option, "whole numbers separated by commas", repr(text), "Use 50,100,200."
        ) from None


def _plain(result: xr.Dataset) -> dict[str, object]:
    values = {str(name): variable.values.tolist() for name, variable in result.data_vars.items()}
    coords = {str(name): result[name].values.tolist() for name in result.coords}
    return {"attrs": dict(result.attrs), **coords, **values}


def _table(result: xr.Dataset) -> str:
    attrs, trials = result.attrs, result["n_trials"].values
    head = (
        f"Power to distinguish a recording with an FTV s.d. of {attrs['sd_a']:g} from "
        f"{attrs['networks']} networks with {attrs['sd_b']:g} "
        f"(two-sided {attrs['alpha']:g}, {attrs['estimator']} estimator)"
    )
    rows = [head, "trials per condition " + "".join(f"{number:8d}" for number in trials)]
    for number, row in zip(result["n_units"].values, result["power"].values, strict=True):
        rows.append(f"{number:6d} units         " + "".join(f"{value:8.2f}" for value in row))
    for label, name in (
        ("noise, share of TV", "noise_share"),
        ("s.d., recording", "recording_sd"),
        ("s.d., networks", "model_sd"),
    ):
        rows.append(f"{label:21}" + "".join(f"{value:8.2f}" for value in result[name].values))
    return "\n".join([*rows, _answer(result)])


def _answer(result: xr.Dataset) -> str:
    attrs = result.attrs
    # of a share of one half, where it is largest
    error = (0.25 / attrs["n_simulations"]) ** 0.5
    rate = float(result["false_positive_rate"].max())
    note = f"Simulated: standard error at most {error:.3f}; false-positive rate at most {rate:.3f}."
    if not attrs["smallest_units"]:
        return f"No design of these reaches a power of {attrs['target_power']:g}. {note}"
    return (
        f"Smallest design with a power of {attrs['target_power']:g}: {attrs['smallest_units']} "
        f"units, {attrs['smallest_trials']} trials per condition. {note}"
    )
