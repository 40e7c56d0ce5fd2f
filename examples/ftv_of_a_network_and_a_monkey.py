"""FTV of a trained network and of the recorded units, through the same calls.

Run: ``python examples/ftv_of_a_network_and_a_monkey.py`` (the recording has to be found; see
``nwbcompare datasets info mante2013``).
"""

import nwbcompare as nc


def main() -> None:
    """Print the spread of FTV of both."""
    network = nc.model.pretrained("all20-fast-1")
    for name, activity in {
        "network": nc.record_matched(network),
        "monkey A": nc.load("mante2013", animal="ar"),
    }.items():
        variance = nc.task_variance(activity)
        ftv = nc.fractional_task_variance(variance, "contextdm1", "contextdm2")
        values = ftv["fractional_task_variance"]
        print(f"{name}: {int(ftv['active'].sum())} samples, s.d. {float(values.std()):.3f}")


if __name__ == "__main__":
    main()
