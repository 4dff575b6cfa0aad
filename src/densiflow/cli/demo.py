"""``densiflow demo``: the main job on the table shipped with the package."""

from typing import Annotated

import typer


def demo(
    out: Annotated[str, typer.Option("--out", help="The folder to write to.", metavar="DIR")] = "demo",
) -> None:
    """Fit, judge, save and sample densities of the SDSS table shipped with the package, with pictures."""
    from densiflow.demo import run

    run(out)
