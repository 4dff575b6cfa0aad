"""Some columns of a fitted model: by themselves, or the others given these."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from densiflow.arguments import check_count
from densiflow.errors import ArgumentError
from densiflow.estimators import conditioning
from densiflow.estimators.conditioning import DRAWS
from densiflow.estimators.randomness import RandomState, key_of
from densiflow.table import frames
from densiflow.table.encode import Encoder
from densiflow.table.refusals import listed

if TYPE_CHECKING:
    from densiflow.estimators.density import FlowDensity

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


class Marginal:
    """The density of some columns of a fitted model, the others summed and integrated out.

    Exact where these are all columns, or the first ones of a model of mixed rows; else estimated from draws of the
    others. The first such call for a flow of real numbers trains a companion that draws them, for some seconds.

    >>> from densiflow import FlowDensity
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> density = FlowDensity("mixed", layers=1, hidden=(8,), max_epochs=3, random_state=0).fit(X)
    >>> density.marginal([1]).score_samples(X[:5, 1:]).shape
    (5,)
    """

    def __init__(self, density: "FlowDensity", names: Sequence[Any]) -> None:
        self.density, self.columns = density, tuple(names)
        self._places = _places(density.encoder_, self.columns)

    def score_samples(
        self,
        X: Any,
        *,
        context: Any = None,
        draws: int = DRAWS,
        random_state: RandomState = 0,
        return_std: bool = False,
    ) -> Any:
        """(n,) log densities of the columns, nats, in their units; with ``return_std`` their standard errors too.

        These are errors of the draws, and for an ensemble of the model as well: the standard deviation of what its
        members say, which leaves out what all of them have from the same rows, unless it is fitted with ``bootstrap``.
        One flow does not know how far it is off itself. A missing cell of a column that had none in fitting is summed
        and integrated out. Warns (`DensiflowWarning`) of rows for which few draws count.
        """
        check_count("draws", draws, 2)
        density = self.density
        matrix, known = _scattered(density.encoder_, self._places, X)
        encoded = density._encoded_context(context, len(matrix))
        with density._fitted_precision():
            nats, error = conditioning.of_known(density._fitted(), matrix, known, encoded, key_of(random_state), draws)
        return (nats, error) if return_std else nats

    def sample(self, n_samples: int = 1, *, context: Any = None, random_state: RandomState = None) -> Any:
        """Rows of these columns, in the container of the table fitted on; of several contexts as `FlowDensity.sample`.

        Exact: whole rows are drawn, and the other columns dropped.
        """
        check_count("n_samples", n_samples, 1)
        schema = self.density.encoder_.schema.only(self._places)
        return frames.build(schema, self.density._cells(n_samples, context, random_state)[:, self._places])


class Conditional:
    """The distribution of the other columns of a fitted model where some hold given values.

    Estimated as a `Marginal` is, and exact where that is.

    >>> from densiflow import FlowDensity
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> density = FlowDensity("mixed", layers=1, hidden=(8,), max_epochs=3, random_state=0).fit(X)
    >>> density.conditional({0: 1.5}).sample(3, random_state=0)[:, 0].tolist()
    [1.5, 1.5, 1.5]
    """

    def __init__(self, density: "FlowDensity", given: Mapping[Any, Any]) -> None:
        self.density, self.given = density, dict(given)
        encoder = density.encoder_
        self._places = _places(encoder, tuple(self.given))
        kept = encoder.modelled
        self._others = [i for i in range(encoder.schema.width) if kept[i] and i not in self._places]
        if not self._others:
            raise ArgumentError("every column of the model is given, and none left: leave out those to be drawn")

    def sample(
        self,
        n_samples: int = 1,
        *,
        context: Any = None,
        complete: bool = False,
        draws: int = DRAWS,
        random_state: RandomState = None,
    ) -> Any:
        """Whole rows, the given cells among them, in the container of the table fitted on.

        Of several draws of a row one is taken by its weight, and what is drawn keeps within what was seen as in
        `FlowDensity.sample`. With ``complete`` none has a missing cell. With m context rows, ``n_samples * m`` rows:
        all of the first context row first.
        """
        check_count("n_samples", n_samples, 1)
        check_count("draws", draws, 2)
        density, encoder = self.density, self.density.encoder_
        encoded = density._encoded_context(context)
        if encoded is not None:
            encoded = np.repeat(encoded, n_samples, axis=0)
        matrix, known = self._given_cells(n_samples if encoded is None else len(encoded))
        with density._fitted_precision():
            drawn = conditioning.imputed(
                density._fitted(), matrix, encoded, key_of(random_state), known, draws, complete
            )
        return encoder.build(drawn)

    def score_samples(
        self,
        X: Any,
        *,
        context: Any = None,
        draws: int = DRAWS,
        random_state: RandomState = 0,
        return_std: bool = False,
    ) -> Any:
        """(n,) log densities of the other columns given these; with ``return_std`` their standard errors too.

        The table holds the other columns alone. Errors are as those of `Marginal.score_samples`.
        """
        check_count("draws", draws, 2)
        density, encoder = self.density, self.density.encoder_
        matrix, known = _scattered(encoder, self._others, X)
        encoded = density._encoded_context(context, len(matrix))
        given, given_known = self._given_cells(1 if encoded is None else len(encoded))
        matrix, known = np.where(given_known, given, matrix), known | given_known
        key, fitted = key_of(random_state), density._fitted()
        with density._fitted_precision():
            joint, joint_error = conditioning.of_known(fitted, matrix, known, encoded, key, draws)
            alone, alone_error = conditioning.of_known(fitted, given, given_known, encoded, key, draws)
        error = np.hypot(joint_error, alone_error)
        return (joint - alone, error) if return_std else joint - alone

    def _given_cells(self, n: int) -> tuple[Floats, Booleans]:
        """The given cells in a matrix of all columns (n, columns), and which they are."""
        cells = [tuple(self.given.values())] * n
        return _scattered(self.density.encoder_, self._places, cells)


def _places(encoder: Encoder, names: Sequence[Any]) -> list[int]:
    keys = list(encoder.schema.keys)
    unknown = [name for name in names if name not in keys or keys[keys.index(name)] in encoder.left_out]
    if unknown or not names:
        raise ArgumentError(f"there is no column {listed(unknown)} in the model; there are {listed(keys)}")
    return [keys.index(name) for name in names]


def _scattered(encoder: Encoder, places: Sequence[int], X: Any) -> tuple[Floats, Booleans]:
    """Cells of some columns in a matrix of all (n, columns), and which of them say something."""
    cells = frames.matching(encoder.schema.only(list(places)), X, "the table", mixed=True)
    matrix = np.full((len(cells), encoder.schema.width), np.nan)
    matrix[:, places] = cells
    known = np.zeros(matrix.shape, bool)
    known[:, places] = encoder.says_something(matrix)[:, places]
    return matrix, known
