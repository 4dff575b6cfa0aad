"""One page that says how far a density is to be believed, and why."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import densiflow
from densiflow.judge import sections
from densiflow.judge.evidence import Evidence, examine
from densiflow.judge.html import Html, page, tag


def report(
    model: Any,
    table: Any,
    train: Any = None,
    *,
    context: Any = None,
    train_context: Any = None,
    title: str = "A density, judged",
    random_state: int = 0,
    tell: Callable[[str], None] | None = None,
) -> str:
    """Examine a fitted model by rows that it was not fitted on, and say what was found: one HTML page.

    Nothing is fetched from elsewhere and no script runs; every picture has a text alternative. See `examine` for
    ``train``, ``context`` and ``train_context``, how many rows are used, and the errors raised. The same model, table
    and ``random_state`` give the same page.

    >>> from densiflow import FlowDensity
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = FlowDensity(layers=1, hidden=(8,), max_epochs=2, random_state=0).fit(rows[:100])
    >>> report(model, rows[100:]).startswith("<!doctype html>")
    True
    """
    found = examine(
        model, table, train, context=context, train_context=train_context, random_state=random_state, tell=tell
    )
    return written(found, title)


def written(evidence: Evidence, title: str) -> str:
    """The page of what was found."""
    made = [(name, heading, make(evidence)) for name, heading, make in sections.SECTIONS]
    there = [(name, heading, body) for name, heading, body in made if body is not None]
    links = [tag("li", tag("a", heading, href=f"#{name}")) for name, heading, _ in there]
    header = tag(
        "header",
        tag("h1", title),
        tag("p", sections.subject(evidence), class_="subject"),
        sections.conclusion(evidence),
        tag("nav", tag("ul", links), aria_label="Sections"),
    )
    style = files("densiflow.judge").joinpath("report.css").read_text("utf-8")
    main = tag("main", [_section(*part) for part in there])
    footer = tag("footer", tag("p", f"densiflow {densiflow.__version__}, seed {evidence.random_state}"))
    return page(title, [tag("div", header, main, footer, class_="page")], style)


def _section(name: str, heading: str, body: Html) -> Html:
    return tag("section", tag("h2", heading, id=name), body, aria_labelledby=name)
