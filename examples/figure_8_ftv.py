"""Figure 8d, 8e of Yang et al. (2019): FTV of networks sampled as the recorded units were.

The networks are those of a study by ``nwbcompare continual``. Each panel is a training regime, with
a line for each network, and the recording with its interval over sessions.

Run: ``python examples/figure_8_ftv.py`` (10 s; needs the recording, see
``nwbcompare datasets info mante2013``).
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import xarray as xr

import nwbcompare as nc
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import resolve

PAIR = ("contextdm1", "contextdm2")
STUDY = Path(__file__).parent.parent / "benchmarks" / "results" / "continual"
REGIMES = ("interleaved", "sequential", "consolidated", "untrained")


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=STUDY, help="folder of nwbcompare continual")
    parser.add_argument(
        "--recording", default="mante2013?animal=ar", help="SOURCE of the recording"
    )
    parser.add_argument("--protocol", default="tuning", help="tuning, rate, published")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    arguments = parser.parse_args()
    recorded = nc.fractional_task_variance(nc.task_variance(resolve(arguments.recording)), *PAIR)
    networks = {
        regime: tables_of(arguments.study, regime, arguments.protocol) for regime in REGIMES
    }
    regimes = [regime for regime in REGIMES if networks[regime]]
    if not regimes:
        parser.error(f"{arguments.study} has no networks measured on {arguments.protocol!r}")

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, len(regimes), (3.4 * len(regimes), 3.4))
    names = {task: nc.tasks.display_name(task) for task in PAIR}
    for regime, ax in zip(regimes, axes.flat, strict=True):
        curves = nc.comparison.distribution_curves(networks[regime], recorded)
        nc.plotting.plot_distributions(ax, curves, kind="histogram", names=names)
        ax.set_title(regime)
        # the mean over samplings of each network
        sds = [float(t["fractional_task_variance"].std("unit").mean()) for t in networks[regime]]
        print(f"{regime}: {len(sds)} networks, s.d. {sum(sds) / len(sds):.3f}")
    print(f"{recorded.attrs['name']}: s.d. {float(recorded['fractional_task_variance'].std()):.3f}")

    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "figure_8_ftv.svg"
    path.write_bytes(nc.plotting.as_svg(figure))
    print(f"written: {path}")


def tables_of(study: Path, regime: str, protocol: str) -> list[xr.Dataset]:
    """Read the FTV of all networks of a regime, including those with poor performance."""
    tables = []
    for file in sorted((study / "measures").glob(f"{regime}-*.nc")):
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            if protocol in tree.children and "unit" in tree[protocol].dims:
                tables.append(tree[protocol].to_dataset().load())
    return tables


if __name__ == "__main__":
    main()
