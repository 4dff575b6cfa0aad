"""``densiflow demo``: the main job on the table shipped with the package."""

from typing import Annotated

import typer

from densiflow.cli.kept import NoCache, programs_kept


def demo(
    out: Annotated[str, typer.Option("--out", help="The folder to write to.", metavar="DIR")] = "demo",
    no_cache: NoCache = False,
) -> None:
    """Fit, judge, save and sample densities of the SDSS table shipped with the package, with pictures."""
    from densiflow.demo import run

    with programs_kept(no_cache):
        run(out)
