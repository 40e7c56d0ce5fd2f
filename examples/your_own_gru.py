"""Train a network of your own, export its activity, and compare its FTV with a recording.

The module below is independent of nwbcompare: it maps the input of the trials to the 33 output
channels. Any torch module that does so can take its place.

Run: ``python examples/your_own_gru.py`` (a minute on one core). Without the recording of Mante
et al. (2013), see ``nwbcompare datasets info mante2013``, the report uses a simulated one
and says so.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import trange

import nwbcompare as nc
from nwbcompare.workflows.settings import Settings

TASKS = ("contextdm1", "contextdm2")
DT_MS = 50


class YourGRU(torch.nn.Module):
    """A GRU with a linear read-out."""

    def __init__(self, n_inputs: int = 85, n_units: int = 96, n_outputs: int = 33) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(n_inputs, n_units, batch_first=True)
        self.readout = torch.nn.Linear(n_units, n_outputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs for inputs, both ``(trial, time, channel)``."""
        hidden, _ = self.gru(inputs)
        return torch.sigmoid(self.readout(hidden))


def train(network: YourGRU, n_steps: int) -> None:
    """Train with Adam on random trials of both tasks, easy ones in the first half."""
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.01, total_steps=n_steps + 1)
    for step in trange(n_steps, desc="training", disable=None):
        trials = nc.tasks.make_trials(
            TASKS,
            "random",
            n_trials=64,
            seed=step,
            dt_ms=DT_MS,
            timing="trial",
            easy=step < n_steps / 2,
            sigma_x=0.01,
        )
        inputs, target, mask = (
            torch.from_numpy(trials[name].transpose("trial", "time", ...).values)
            for name in ("input", "target", "loss_mask")
        )
        loss = (mask * (network(inputs) - target)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def performance(network: YourGRU, task: str) -> float:
    """Return the share of correct random trials; random choices between the targets give 0.5."""
    trials = nc.tasks.make_trials(
        task, "random", n_trials=512, seed=1_000_000, dt_ms=DT_MS, timing="trial", sigma_x=0.01
    )
    return float(nc.record(network, trials)["correct"].mean())


def main() -> None:
    """Train, record, export, analyse and compare the network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500, help="training steps")
    parser.add_argument("--permutations", type=int, default=200, help="permutations for the tests")
    parser.add_argument("--bootstraps", type=int, default=500, help="bootstraps for the intervals")
    parser.add_argument("--draws", type=int, default=4, help="random samplings of the network")
    parser.add_argument(
        "--out", type=Path, default=Path("your_own_gru"), help="output folder, which must not exist"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)

    # one thread: the matrices are small, and the result is the same on every machine
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = YourGRU()
    train(network, arguments.steps)
    for task in TASKS:
        print(f"{task}: {performance(network, task):.3f} of 512 random trials")

    test = nc.tasks.make_trials(TASKS, "test", dt_ms=DT_MS)
    activities = {
        "published": nc.record(network, test, name="your GRU", inputs_and_outputs=True),
        "matched": nc.record_matched(network, dt_ms=DT_MS, name="your GRU"),
    }
    files = []
    for protocol, activity in activities.items():
        files.append(nc.write_nwb(activity, arguments.out / f"{protocol}.nwb"))
        variance = nc.task_variance(nc.open(files[-1]))
        ftv = nc.fractional_task_variance(variance, *TASKS)
        values = ftv["fractional_task_variance"].values
        print(
            f"{protocol} protocol: {int(ftv['active'].sum())} of {values.size} samples active, "
            f"s.d. of FTV {np.nanstd(values):.3f} ({files[-1]})"
        )
    settings = Settings(
        n_permutations=arguments.permutations,
        n_bootstrap=arguments.bootstraps,
        n_draws=arguments.draws,
    )
    report = nc.compare(files, None, arguments.out / "report", settings=settings)
    print(f"report: {report / 'index.html'}")


if __name__ == "__main__":
    main()
