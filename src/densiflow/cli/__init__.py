"""The command line: ``densiflow demo``, ``fit``, ``score``, ``sample``, ``report``, ``plot``, ``info``.

One command a file. Results go to stdout, progress to stderr. A user's mistake is one line on stderr and exit code
2.
"""

import sys
from collections.abc import Sequence

import typer

from densiflow.cli import demo, fit, info, plot, report, sample, score
from densiflow.errors import DensiflowError

MISTAKE = 2
INTERRUPTED = 130

app = typer.Typer(
    name="densiflow",
    help="Exact densities for tables, by normalizing flows.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("fit")(fit.fit)
app.command("score")(score.score)
app.command("sample")(sample.sample)
app.command("report")(report.report)
app.command("plot")(plot.plot)
app.command("info")(info.info)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for the user's mistake, 130 after Ctrl-C; no arguments is help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int | None = app(given or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        return _said(error.format_message(), MISTAKE)
    except (DensiflowError, OSError) as error:
        return _said(str(error), MISTAKE)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except ImportError as error:  # what compiled modules make of Ctrl-C while they are loaded
        if not _was_interrupted(error):
            raise
        code = INTERRUPTED
    except typer.Abort as abort:  # an interrupt that a command met, and said what came of it
        return _said(str(abort) or "interrupted", INTERRUPTED)
    if code == INTERRUPTED:  # typer's answer to Ctrl-C in a command
        return _said("interrupted", INTERRUPTED)
    return code or 0


def _was_interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _said(message: str, code: int) -> int:
    """The exit code, after one line on stderr, whatever the message holds."""
    print("densiflow: " + " ".join(message.split()), file=sys.stderr)
    return code
