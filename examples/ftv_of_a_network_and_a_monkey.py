"""FTV of trained networks and of recorded units, with the same functions, conditions and noise.

Run: ``python examples/ftv_of_a_network_and_a_monkey.py`` (needs the recording, see
``nwbcompare datasets info mante2013``).
"""

import nwbcompare as nc

PAIR = ("contextdm1", "contextdm2")


def main() -> None:
    """Print the spread of FTV in networks and recording, and their difference with a test."""
    monkey = nc.load("mante2013", animal="ar")
    networks = [nc.model.pretrained(f"all20-fast-{seed}") for seed in range(3)]
    recorded = nc.fractional_task_variance(nc.task_variance(monkey), *PAIR)
    sampled = [
        # each recorded unit is matched with a network unit of equal trials, mean rate and noise
        nc.fractional_task_variance(nc.task_variance(nc.sample_like(network, monkey)), *PAIR)
        for network in networks
    ]
    for ftv in (recorded, *sampled):
        values = ftv["fractional_task_variance"]
        print(
            f"{ftv.attrs['name']}: {int(ftv['active'].sum())} units, s.d. {float(values.std()):.3f}"
        )
    difference = nc.compare_samples(sampled, recorded).sel(measure="sd", claim="these networks")
    print(
        f"difference of s.d. {float(difference['estimate']):+.3f} "
        f"[{float(difference['low']):+.3f}, {float(difference['high']):+.3f}], "
        f"p = {float(difference['p_value']):.2g} over sessions of this animal"
    )


if __name__ == "__main__":
    main()
