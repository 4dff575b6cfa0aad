"""How the cells of one column become what a flow sees.

A `Column` is points of mass, perhaps a missing mark, and perhaps a value: a scale, and perhaps a grid. An entry in
`SCALES` registers a scale.
"""

from densiflow.table.columns.base import Scale as Scale
from densiflow.table.columns.column import Column as Column
from densiflow.table.columns.grid import Grid as Grid
from densiflow.table.columns.real import Real as Real
from densiflow.table.columns.scales import SCALES as SCALES
from densiflow.table.columns.skewed import Skewed as Skewed
from densiflow.table.columns.turn import Turn as Turn
from densiflow.table.columns.within import Within as Within

__all__ = ["SCALES", "Column", "Grid", "Real", "Scale", "Skewed", "Turn", "Within"]
