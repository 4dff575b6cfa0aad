"""The command line: ``densiflow demo``, ``info``, ``fit``, ``score``, ``outliers``, ``impute``, ``sample``, ...

One command a file. Results go to stdout, progress and notes to stderr. A user's mistake is one line on stderr and exit
code 2.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from densiflow.cli import demo, fit, impute, info, outliers, plot, report, sample, score
from densiflow.errors import DensiflowError, DensiflowWarning, KernelsWarning, TrainingWarning

MISTAKE = 2
INTERRUPTED = 130
MOST_NOTES = 5

app = typer.Typer(
    name="densiflow",
    help="Exact densities for tables, by normalizing flows.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("info")(info.info)
app.command("fit")(fit.fit)
app.command("report")(report.report)
app.command("score")(score.score)
app.command("outliers")(outliers.outliers)
app.command("impute")(impute.impute)
app.command("sample")(sample.sample)
app.command("plot")(plot.plot)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for the user's mistake, 130 after Ctrl-C; no arguments is help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _warnings_noted():
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


@contextmanager
def _warnings_noted() -> Iterator[None]:
    """What densiflow warns of inside is a line each on stderr, once all went well: a mistake is the one line then."""
    notes: dict[str, None] = {}  # each once, in order
    ours = (DensiflowWarning, TrainingWarning, KernelsWarning)
    with warnings.catch_warnings():
        shown_by_python = warnings.showwarning

        def note(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, ours):
                notes[str(message)] = None
            else:
                shown_by_python(message, category, *place, **options)

        warnings.showwarning = note
        for category in ours:
            warnings.simplefilter("always", category)
        yield
    more = len(notes) - MOST_NOTES
    for text in [*list(notes)[:MOST_NOTES], *([f"and {more} more"] if more > 0 else [])]:
        print("densiflow: note: " + " ".join(text.split()), file=sys.stderr)


def _was_interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _said(message: str, code: int) -> int:
    """The exit code, after one line on stderr, whatever the message holds."""
    print("densiflow: " + " ".join(message.split()), file=sys.stderr)
    return code
