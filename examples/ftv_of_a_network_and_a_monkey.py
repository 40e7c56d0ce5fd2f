"""FTV of a trained network and of the recorded units: the same calls, conditions and noise.

Run: ``python examples/ftv_of_a_network_and_a_monkey.py`` (the recording has to be found; see
``nwbcompare datasets info mante2013``).
"""

import nwbcompare as nc

PAIR = ("contextdm1", "contextdm2")


def main() -> None:
    """Print the spread of FTV on both sides, and what can be said of the difference."""
    monkey = nc.load("mante2013", animal="ar")
    networks = [nc.model.pretrained(f"all20-fast-{seed}") for seed in range(3)]
    recorded = nc.fractional_task_variance(nc.task_variance(monkey), *PAIR)
    sampled = [
        # each recorded unit gets a matched unit with its trials, its rate and its noise
        nc.fractional_task_variance(nc.task_variance(nc.sample_like(network, monkey)), *PAIR)
        for network in networks
    ]
    for ftv in (recorded, *sampled):
        values = ftv["fractional_task_variance"]
        print(
            f"{ftv.attrs['name']}: {int(ftv['active'].sum())} units, s.d. {float(values.std()):.3f}"
        )
    found = nc.compare_samples(sampled, recorded).sel(measure="sd", claim="these networks")
    print(
        f"difference of s.d. {float(found['estimate']):+.3f} "
        f"[{float(found['low']):+.3f}, {float(found['high']):+.3f}], "
        f"p = {float(found['p_value']):.2g} over sessions of this animal"
    )


if __name__ == "__main__":
    main()
