"""Commands ``nwbcompare analyze`` and ``nwbcompare compose``."""

from __future__ import annotations

import json
from typing import Any

import click

from nwbcompare.cli.options import names_of, section_options
from nwbcompare.cli.terminal import echo
from nwbcompare.core.errors import InputError


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(), help="Output folder.")
@section_options("analyze")
@click.option("--long", "with_long", is_flag=True, help="Also compute the long sections.")
@click.option(
    "--surrogates", "n_surrogates", default=999, help="Surrogates for the null of clusters."
)
@click.option("--rotations", "n_rotations", default=1000, help="Random rotations of the units.")
@click.option(
    "--permutations", "n_unit_permutations", default=9999, help="Permutations of group labels."
)
@click.option("--trials", "n_trials", default=512, help="Trials of each task and lesion.")
@click.option("--seed", default=0, help="Seed of all random numbers.")
@click.option("--resume", is_flag=True, help="Continue from the results in the folder.")
@click.option("--overwrite", is_flag=True, help="Replace an existing analysis.")
def analyze(
    sources: tuple[str, ...],
    out: str,
    sections: str | None,
    with_long: bool,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Analyse SOURCES: clusters, lesions, FTV of all pairs of tasks, composition.

    SOURCES are networks (run folders or pretrained:NAME) and recordings. Sections that do not apply
    to recordings are left out. With several networks there are findings over networks.

    \b
    Examples:
      nwbcompare analyze pretrained:all20-fast-0 --out analysis
      nwbcompare analyze pretrained:all20-fast-0 pretrained:all20-fast-1 mante2013 \\
        --out analysis --resume
      nwbcompare analyze runs/a --sections lesions,pairs --out analysis
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.analyze import analyze as run  # noqa: PLC0415
    from nwbcompare.workflows.registry import sections_of  # noqa: PLC0415 - imports torch
    from nwbcompare.workflows.settings import Settings  # noqa: PLC0415

    if sections is not None and with_long:
        raise InputError(
            "--long", "no --sections beside it", "both", "Name the long sections in --sections."
        )
    folder = run(
        sources,
        out,
        sections=list(sections_of("analyze")) if with_long else names_of(sections),
        settings=Settings(**settings),
        resume=resume,
        overwrite=overwrite,
    )
    for section in json.loads((folder / "report.json").read_text())["sections"]:
        echo(section["heading"])
        for finding in section["findings"]:
            echo(f"  {finding if isinstance(finding, str) else finding['text']}")
    echo(f"Page: {folder / 'index.html'}")


@click.command()
@click.argument("source")
@click.argument("expressions", nargs=-1, required=True)
@click.option("--task", required=True, help="Task that is performed.")
@click.option("--batches", default=20, help="Batches of 50 random trials.")
@click.option("--seed", default=0, help="Seed of trials and noise.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def compose(
    source: str, expressions: tuple[str, ...], task: str, batches: int, seed: int, as_json: bool
) -> None:
    """Measure performance of a task under sums of rule inputs, on random trials with noise.

    SOURCE is a run folder or pretrained:NAME.

    \b
    Example:
      nwbcompare compose pretrained:all20-fast-0 --task delayanti \\
          "fdanti + delaygo - fdgo" delayanti fdanti
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.experiments.rule_composition import composition_performance  # noqa: PLC0415
    from nwbcompare.workflows.sources import find_network  # noqa: PLC0415 - imports torch

    result = composition_performance(
        # each expression once, in the order in which they were typed
        find_network(source),
        task,
        tuple(dict.fromkeys(expressions)),
        n_batches=batches,
        seed=seed,
    )
    table = result.reset_coords(drop=True)[["performance", "balanced_accuracy"]].to_dataframe()
    if as_json:
        echo(table.to_json(orient="index"))
        return
    for expression, row in table.iterrows():
        echo(f"{row['performance']:.3f} (balanced {row['balanced_accuracy']:.3f})  {expression}")
