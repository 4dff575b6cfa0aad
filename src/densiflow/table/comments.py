"""Lines that begin with # above a table in text: what was said of it, of which the last may name its columns.

numpy.savetxt writes names so, and programs of astronomers do. Such lines are comments only where columns of numbers
stand below them: among text a word may begin with #.
"""

import csv
import io
import re
from collections.abc import Iterator

from densiflow.table.dialect import SPACES, Dialect, Rows, are_numbers, dialect_of, has_names, rows_of
from densiflow.table.numerals import MISSING, is_number

MARK = "#"


def names_above(head: bytes) -> tuple[bytes, int]:
    r"""The line of names that the comments above a table hold, and where the table begins; without comments at 0.

    The last comment holds names where it has as many cells as the lines below it and these begin with numbers; else
    the line is empty.

    >>> names_above(b"# made in May\n# x y\n1.5  2\n2.5  3\n")
    (b'x y\n', 20)
    >>> names_above(b"# made in May\nx  y\n1.5  2\n"), names_above(b"#one,x\n#two,y\n")
    ((b'', 14), (b'', 0))
    """
    comments, begin = _comments(head)
    if not comments:
        return b"", 0
    below = head[begin:].decode("utf-8", "replace")
    dialect = dialect_of(below)
    rows = rows_of(below, dialect.separator)
    if dialect.width == 1 or not are_numbers(rows):
        return b"", 0
    said = [comment for comment in comments if re.search(r"\w", comment)]  # the others are rules, or empty
    return _names(said[-1], rows, dialect).encode() if said else b"", begin


def _comments(head: bytes) -> tuple[list[str], int]:
    """The comments, and where what follows begins."""
    comments, begin = [], 0
    for line in io.BytesIO(head):
        text = line.decode("utf-8-sig", "replace").strip()
        if text and not _is_comment(text):
            break
        comments.append(text)
        begin += len(line)
    return [text for text in comments if text], begin


def _is_comment(text: str) -> bool:
    """Whether a line is marked, and not one whose first cell is a mark of a missing number."""
    return text.startswith(MARK) and re.split(r"[\s,;|]", text)[0] not in MISSING


def _names(comment: str, rows: Rows, dialect: Dialect) -> str:
    if not any(is_number(cell, dialect.decimal) for cell in rows[0]):
        return ""  # these are the names
    for cells in _readings(comment, dialect.separator):
        if len(cells) == dialect.width and all(cells):
            return _line(cells, dialect.separator) if has_names([cells, *rows], dialect.decimal) else ""
    return ""


def _readings(comment: str, separator: str) -> Iterator[list[str]]:
    """The cells of a comment: without its mark, whatever parts them above columns parted by spaces, or with it."""
    bare = comment.lstrip(MARK)
    if separator == SPACES:
        yield re.split(r"[\s,;|]+", bare.strip())
    if separator == SPACES or bare[:1].isspace():
        yield from ([cell.strip() for cell in row] for row in rows_of(bare, separator))
    yield from rows_of(comment, separator)


def _line(cells: list[str], separator: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="\n").writerow(cells)
    return line.getvalue()
