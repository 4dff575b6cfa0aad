"""HTML from Python: every text is escaped unless it was made here."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS_AN_INCH = 200
CSS_PIXELS_AN_INCH = 96
VOID = frozenset({"img", "meta", "br", "hr"})


@final
class Html(str):
    """Text that is HTML already; any other text is escaped where it is put into a tag."""

    __slots__ = ()


def tag(element: str, *children: Any, **attributes: Any) -> Html:
    """An element. A trailing underscore of an attribute is dropped, other underscores are hyphens; None leaves out.

    >>> tag("p", "1 < 2 ", tag("b", "& so on"), class_="note")
    '<p class="note">1 &lt; 2 <b>&amp; so on</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    opened = f"<{element}{written}>"
    return Html(opened if element in VOID else f"{opened}{joined(children)}</{element}>")


def joined(children: Iterable[Any]) -> Html:
    """Texts, elements and lists of them one after the other; None is nothing."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, list | tuple):
            parts.append(joined(child))
        elif child is not None:
            parts.append(escape(str(child), quote=False))
    return Html("".join(parts))


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()) -> Html:
    """A table whose first column names its rows; ``numbers`` are the columns set flush right.

    It scrolls by itself where the page is narrow.
    """

    def look(column: int) -> str | None:
        return "number" if column in numbers else None

    top = tag("tr", [tag("th", name, scope="col", class_=look(j)) for j, name in enumerate(head)])
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell, class_=look(j)) for j, cell in enumerate(row[1:], 1)],
        )
        for row in rows
    ]
    inside = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", body))
    return tag("div", inside, class_="scroll", role="region", aria_label=caption, tabindex="0")


def listed(items: Iterable[tuple[Any, Any]], *, label: str) -> Html:
    """Names beside words, or above them where the page is narrow."""
    pairs = [tag("div", tag("dt", name), tag("dd", words)) for name, words in items]
    return tag("dl", pairs, aria_label=label)


def picture(figure: "Figure", alt: str, caption: str | None = None, *, wide: bool = False) -> Html:
    """A drawn figure inside the page, with its text alternative; a wide one scrolls where the page is narrow."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PIXELS_AN_INCH, facecolor="white")
    width, height = (round(float(inches) * CSS_PIXELS_AN_INCH) for inches in figure.get_size_inches())
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    image: Html = tag("img", src=source, alt=alt, width=width, height=height)
    if wide:
        image = tag("div", image, class_="scroll wide", role="region", aria_label=caption or alt, tabindex="0")
    return tag("figure", image, None if caption is None else tag("figcaption", caption))


def page(title: str, body: Iterable[Any], style: str) -> str:
    """A whole document, with nothing in it that is fetched from elsewhere."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", list(body)), lang="en") + "\n"
