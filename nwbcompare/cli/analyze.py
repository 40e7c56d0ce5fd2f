"""The command line's part for what networks know: ``nwbcompare analyze | compose``."""

from __future__ import annotations

import json

import click

from nwbcompare.core.errors import InputError


def _list_sections(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    from nwbcompare.workflows.registry import SECTIONS  # noqa: PLC0415 - imports torch

    for section in SECTIONS.values():
        click.echo(f"{section.name}: {section.heading}{' (long)' if section.is_long else ''}")
    context.exit()


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(), help="The folder to write.")
@click.option("--sections", help="Sections by commas, with those that they need; by default all.")
@click.option("--long", "with_long", is_flag=True, help="The long sections too.")
@click.option(
    "--list-sections",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_sections,
    help="List the sections and end.",
)
@click.option(
    "--surrogates", default=999, show_default=True, help="Surrogates of the null for clusters."
)
@click.option("--rotations", default=1000, show_default=True, help="Rotations of the units.")
@click.option(
    "--permutations", default=9999, show_default=True, help="Permutations of group labels."
)
@click.option("--trials", default=512, show_default=True, help="Trials of each task and lesion.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--resume", is_flag=True, help="Go on with what is finished in the folder.")
@click.option("--overwrite", is_flag=True, help="Replace an existing analysis.")
def analyze(
    sources: tuple[str, ...],
    out: str,
    sections: str | None,
    with_long: bool,
    surrogates: int,
    rotations: int,
    permutations: int,
    trials: int,
    seed: int,
    resume: bool,
    overwrite: bool,
) -> None:
    """Ask SOURCES what they know: clusters, lesions, FTV of all pairs, composition.

    Several networks are taken as a sample of networks. What a recording cannot be asked
    (lesions, weights, rules) is left out, and the page says so.

    \b
    Examples:
      nwbcompare analyze pretrained:all20-fast-0 --out analysis
      nwbcompare analyze runs/a runs/b runs/c --out analysis --resume
      nwbcompare analyze runs/a --sections lesions,pairs --out analysis
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.analyze import analyze as run  # noqa: PLC0415
    from nwbcompare.workflows.analyze_settings import Settings  # noqa: PLC0415 - imports torch
    from nwbcompare.workflows.registry import SECTIONS  # noqa: PLC0415 - imports torch

    if sections is not None and with_long:
        raise InputError(
            "--long", "no --sections beside it", "both", "Name the long sections instead."
        )
    chosen = list(SECTIONS) if with_long else None
    folder = run(
        sources,
        out,
        sections=chosen if sections is None else [name.strip() for name in sections.split(",")],
        settings=Settings(
            seed=seed,
            n_surrogates=surrogates,
            n_rotations=rotations,
            n_permutations=permutations,
            n_trials=trials,
        ),
        resume=resume,
        overwrite=overwrite,
    )
    for section in json.loads((folder / "analysis.json").read_text())["sections"]:
        click.echo(section["heading"])
        for finding in section["findings"]:
            click.echo(f"  {finding}")
    click.echo(f"Page: {folder / 'index.html'}")


@click.command()
@click.argument("source")
@click.argument("expressions", nargs=-1, required=True)
@click.option("--task", required=True, help="The task that is performed.")
@click.option("--batches", default=20, show_default=True, help="Batches of 50 random trials.")
@click.option("--seed", default=0, show_default=True, help="Seed of trials and noise.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def compose(
    source: str, expressions: tuple[str, ...], task: str, batches: int, seed: int, as_json: bool
) -> None:
    """Have a network do a task under sums of rules, on random trials with noise.

    SOURCE is a run folder or pretrained:NAME.

    \b
    Example:
      nwbcompare compose pretrained:all20-fast-0 --task delayanti \\
          "fdanti + delaygo - fdgo" delayanti fdanti
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.experiments.rule_composition import composition_performance  # noqa: PLC0415
    from nwbcompare.workflows.sources import find_network  # noqa: PLC0415 - imports torch

    result = composition_performance(
        find_network(source), task, tuple(dict.fromkeys(expressions)), n_batches=batches, seed=seed
    )
    table = result.reset_coords(drop=True)[["performance", "balanced_accuracy"]].to_dataframe()
    if as_json:
        click.echo(table.to_json(orient="index"))
        return
    for expression, row in table.iterrows():
        click.echo(
            f"{row['performance']:.3f} (balanced {row['balanced_accuracy']:.3f})  {expression}"
        )
