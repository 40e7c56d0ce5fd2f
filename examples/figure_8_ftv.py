"""Figure 8d, 8e of Yang et al. (2019): FTV of networks and of recorded units, sampled alike.

From what ``nwbcompare continual`` has measured of its networks; each panel is a training regime,
a line a network, beside the recording with a band over its sessions.

Run: ``python examples/figure_8_ftv.py`` (10 s; the recording has to be found, see
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
    """Draw the figure and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=STUDY, help="folder of nwbcompare continual")
    parser.add_argument("--recording", default="mante2013?animal=ar", help="a SOURCE")
    parser.add_argument("--protocol", default="sampled", help="sampled, signal, published")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    chosen = parser.parse_args()
    recorded = nc.fractional_task_variance(nc.task_variance(resolve(chosen.recording)), *PAIR)
    networks = {regime: tables_of(chosen.study, regime, chosen.protocol) for regime in REGIMES}
    shown = [regime for regime in REGIMES if networks[regime]]
    if not shown:
        parser.error(f"{chosen.study} has no networks measured on {chosen.protocol!r}")

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, len(shown), (3.4 * len(shown), 3.4))
    names = {task: nc.tasks.display_name(task) for task in PAIR}
    for regime, ax in zip(shown, axes.flat, strict=True):
        curves = nc.comparison.distribution_curves(networks[regime], recorded)
        nc.plotting.plot_distributions(ax, curves, kind="histogram", names=names)
        ax.set_title(regime)
        spread = [float(t["fractional_task_variance"].std("unit").mean()) for t in networks[regime]]
        print(f"{regime}: {len(spread)} networks, s.d. {sum(spread) / len(spread):.3f}")
    print(f"{recorded.attrs['name']}: s.d. {float(recorded['fractional_task_variance'].std()):.3f}")

    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "figure_8_ftv.svg"
    path.write_bytes(nc.plotting.as_svg(figure))
    print(f"written: {path}")


def tables_of(study: Path, regime: str, protocol: str) -> list[xr.Dataset]:
    """Read a regime's networks as they were measured, those with bad performance among them."""
    found = []
    for file in sorted((study / "measures").glob(f"{regime}-*.nc")):
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            if protocol in tree.children and "unit" in tree[protocol].dims:
                found.append(tree[protocol].to_dataset().load())
    return found


if __name__ == "__main__":
    main()
