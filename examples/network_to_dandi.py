"""Export a trained network to a folder for the DANDI archive, and open it with other tools.

A network is recorded without noise and exported with its weights and with Poisson spikes drawn at
its rates. The file is opened by nwbcompare, by xarray, and by pynapple if it is installed.

Run: ``python examples/network_to_dandi.py [--network pretrained:all20-fast-0] [--out FOLDER]``.
"""

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import xarray as xr

import nwbcompare as nc
from nwbcompare.workflows.export import export_source


def main() -> None:
    """Export the network, read the file in several ways, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--network", default="pretrained:ctxdm-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", help="output folder; temporary by default")
    arguments = parser.parse_args()
    out = Path(arguments.out or tempfile.mkdtemp(prefix="dandiset-"))

    # the same as: nwbcompare export NETWORK --dandiset OUT --spikes --gain 20 --task-variance
    (path,) = export_source(
        arguments.network,
        dandiset=out,
        spikes=nc.io.PoissonSpikes(gain=20.0, seed=0),
        task_variance=True,
        overwrite=True,
    )
    print(f"written: {path.relative_to(out)}, {path.stat().st_size / 1e6:.0f} MB, with weights")
    print("messages of the validators:", nc.io.inspect_nwb(path) or "none")

    tree = xr.open_datatree(path, engine="nwbcompare")
    block = tree["contextdm1"].to_dataset()
    by_direction = block["rate"].groupby("direction").mean()
    print(f"xarray: {dict(block.sizes)}, by direction {dict(by_direction.sizes)}")

    pair = ("contextdm1", "contextdm2")
    rates = nc.open(path)
    spikes = nc.open(path, series="units", bin=0.02, conditions=["direction"])
    for name, activity in {"rates": rates, "spikes": spikes}.items():
        ftv = nc.fractional_task_variance(nc.task_variance(activity), *pair)
        values = ftv["fractional_task_variance"].values
        print(f"s.d. of FTV from {name}: {np.nanstd(values):.3f} of {np.isfinite(values).sum()}")

    if find_spec("pynapple"):
        import pynapple as nap  # noqa: PLC0415 - optional

        file = nap.load_file(str(path))
        first = file["trials"][:10]
        print(f"pynapple: {file['units'].restrict(first).count(1.0).shape} (s, unit)")


if __name__ == "__main__":
    main()
