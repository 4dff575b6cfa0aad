"""The command line: ``densiflow demo``, ``fit``, ``score``, ``sample``, ``info``. One command a file.

Results go to stdout, progress to stderr. A user's mistake is one line on stderr and exit code 2.
"""

import sys
from collections.abc import Sequence

import typer

from densiflow.cli import demo, fit, info, sample, score
from densiflow.errors import DensiflowError

app = typer.Typer(
    name="densiflow",
    help="Exact densities for tables, by normalizing flows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("fit")(fit.fit)
app.command("score")(score.score)
app.command("sample")(sample.sample)
app.command("info")(info.info)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for the user's mistake, 130 after Ctrl-C."""
    try:
        app(list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
    except typer.TyperException as error:
        return _mistake(error.format_message())
    except (DensiflowError, OSError) as error:
        return _mistake(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("densiflow: interrupted", file=sys.stderr)
        return 130
    return 0


def _mistake(message: str) -> int:
    """One line on stderr, whatever the message holds."""
    print("densiflow: " + " ".join(message.split()), file=sys.stderr)
    return 2
