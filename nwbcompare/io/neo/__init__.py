"""neo: blocks, trials, and files of recording systems."""
