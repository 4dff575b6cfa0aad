"""Bases: the simple distributions of z. An import line registers one: saved by name, tried by every law."""

from densiflow.bases.base import Base as Base
from densiflow.bases.normal import Normal as Normal
from densiflow.bases.student_t import StudentT as StudentT

__all__ = ["Base", "Normal", "StudentT"]
