"""Every archive has a data card with nothing left out, and `datasets info` prints it."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from click.testing import CliRunner

from nwbcompare.cli.main import cli
from nwbcompare.datasets import get_loader, loaders


@pytest.mark.parametrize("name", loaders())
def test_the_card_of_an_archive_is_complete_and_printed(name: str) -> None:
    card = get_loader(name).card
    empty = {field for field, value in asdict(card).items() if not value}
    # a repository without a paper has no DOI, and an archive of one task no pair
    assert empty <= {"doi", "pairs"}
    assert card.pairs or any("task" in trap for trap in card.traps)
    printed = CliRunner().invoke(cli, ["datasets", "info", name]).output
    parts = [card.authors, card.citation, card.doi, card.licence, card.source, card.unpack]
    for part in [*parts, card.size, *card.traps, card.tested_on, *map(", ".join, card.pairs)]:
        assert part in printed
