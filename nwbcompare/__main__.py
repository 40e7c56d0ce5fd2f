"""The command line, as ``python -m nwbcompare``."""

from nwbcompare.cli.main import main

main()
