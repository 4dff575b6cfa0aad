"""Every error a user can meet. All are `DensiflowError`, and also the built-in class that scikit-learn expects."""


class DensiflowError(Exception):
    """The root of every error that densiflow raises."""


class ShapeError(DensiflowError, ValueError):
    """An array has the wrong shape."""


class ContextError(DensiflowError, ValueError):
    """A context is missing, superfluous or of the wrong width."""


class ArgumentError(DensiflowError, ValueError):
    """An option is not one of those offered."""


class KeyTypeError(DensiflowError, TypeError):
    """Something that is not a JAX random key stands where one is needed."""


class PrecisionError(DensiflowError, ValueError):
    """float64 is asked for while JAX has it switched off."""


class TableError(DensiflowError, ValueError):
    """A table, a column or a cell can't be used."""


class CellTypeError(TableError, TypeError):
    """A cell holds something that is no number at all; a `TypeError` too, as scikit-learn expects."""


class WeightError(DensiflowError, ValueError):
    """Sample weights can't be used."""


class TrainingError(DensiflowError, ArithmeticError):
    """Training found no parameters with a finite log-likelihood."""


class ModelFileError(DensiflowError, ValueError):
    """A file is not a readable densiflow model."""


class NewerFormatError(ModelFileError):
    """A model file was written by a later densiflow."""


class CheckpointError(DensiflowError, ValueError):
    """A training can't go on from a file: it is of another fit, or damaged."""


class UnregisteredClassError(ModelFileError):
    """A class is not one that model files know."""


class MigrationError(DensiflowError, ValueError):
    """Another library's flow holds something that has no exact counterpart."""


class MissingFileError(DensiflowError, FileNotFoundError):
    """A file is not there."""


class OutputPathError(DensiflowError, OSError):
    """A path can't be written."""


class NativeBuildError(DensiflowError, RuntimeError):
    """The native kernels could not be compiled or kept."""


class KernelsWarning(UserWarning):
    """Compiled kernels are there, but not those that this installation needs."""


class TrainingWarning(UserWarning):
    """Training met something worth knowing and went on."""


class DensiflowWarning(UserWarning):
    """A table holds something worth knowing."""
