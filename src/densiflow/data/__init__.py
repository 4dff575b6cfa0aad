"""The table shipped with the package; where it comes from is told in the README beside it."""

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

__all__ = ["load_sdss"]


def load_sdss() -> "pyarrow.Table":
    """10,000 stars, galaxies and quasars of the Sloan Digital Sky Survey, Data Release 14.

    Shapes: 10,000 rows of ``u, g, r, i, z`` (asinh magnitudes), ``redshift`` (no unit), all float64, and ``class``
    ("STAR", "GALAXY" or "QSO").

    Source: Abolfathi et al. 2018, "The fourteenth data release of the Sloan Digital Sky Survey"; public domain.

    >>> table = load_sdss()
    >>> table.num_rows, table.column_names
    (10000, ['u', 'g', 'r', 'i', 'z', 'redshift', 'class'])
    """
    from pyarrow import parquet

    with as_file(files(__name__) / "sdss_dr14.parquet") as path:
        return parquet.read_table(path)
