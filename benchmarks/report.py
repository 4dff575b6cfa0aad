"""Tables as Markdown, results as JSON, and the machine that they were measured on."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine():
    """Processor, cores, versions and commit."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor()
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("densiflow", "jax", "jaxlib", "equinox", "numpy")},
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "src") else ""),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _git(*words):
    done = subprocess.run(["git", *words], cwd=RESULTS.parent.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def said(machine):
    """The machine in one line; a plus after the commit: with changes not yet committed."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {versions}; "
        f"commit {machine['commit']}, {machine['date']}."
    )


def table(head, rows):
    """A Markdown table with its columns lined up: the first to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]

    def line(row):
        first, *rest = (
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    rule = f"|{'|'.join(('-' * (w + 2)) if k == 0 else '-' * (w + 1) + ':' for k, w in enumerate(widths))}|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def figure(value, digits=3):
    """That many significant digits, no exponent: 1.43, 99.2, 108000."""
    if value is None:
        return ""
    whole = f"{float(f'{value:.{digits}g}'):f}"
    return whole.rstrip("0").rstrip(".") if float(whole) >= 100 else f"{value:#.{digits}g}".rstrip(".")


def record(name, words, measured):
    """Write ``results/<name>.md`` and ``.json``."""
    RESULTS.mkdir(exist_ok=True)
    here = machine()
    (RESULTS / f"{name}.md").write_text(f"{words.strip()}\n\n{said(here)}\n")
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": here, "measured": measured}, indent=1) + "\n")
    print(f"\nwritten: {(RESULTS / name).relative_to(RESULTS.parent.parent)}.md and .json", flush=True)
