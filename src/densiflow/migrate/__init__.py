"""Flows of other libraries, copied: from_tfp, from_nflows, from_zuko, from_flowjax.

Each takes the other library's live object and needs that library only when called. A reader (one file a library)
turns the object into a plain description, `build` turns a description into a `Flow`. What can't be represented
exactly is refused by name, and the copy is compared with the original on a few rows before it is handed out.
"""

from densiflow.migrate.flowjax import from_flowjax as from_flowjax
from densiflow.migrate.nflows import from_nflows as from_nflows
from densiflow.migrate.tfp import from_tfp as from_tfp
from densiflow.migrate.zuko import from_zuko as from_zuko

__all__ = ["from_flowjax", "from_nflows", "from_tfp", "from_zuko"]
