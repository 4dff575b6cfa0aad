"""A table <-> a real matrix: any container is read to float64, encoded column by column, and built again."""

from densiflow.table.encode import Encoder as Encoder
from densiflow.table.frames import build as build
from densiflow.table.frames import build_named as build_named
from densiflow.table.frames import check_fit as check_fit
from densiflow.table.frames import matching as matching
from densiflow.table.frames import read as read
from densiflow.table.options import read_schema as read_schema
from densiflow.table.schema import Schema as Schema
from densiflow.table.variables import Variable as Variable

__all__ = ["Encoder", "Schema", "Variable", "build", "build_named", "check_fit", "matching", "read", "read_schema"]
