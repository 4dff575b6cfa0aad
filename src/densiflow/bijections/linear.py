"""An invertible matrix, kept as its triangles."""

from typing import Any, NamedTuple, Self, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.linalg import solve_triangular
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray

from densiflow import rows
from densiflow.arguments import check_count
from densiflow.bijections.base import Bijection
from densiflow.errors import ArgumentError
from densiflow.precision import float_dtype


@final
class Linear(Bijection):
    r"""Multiply a row by an invertible matrix A.

    .. math:: x = A z, \qquad z = W x, \quad W = A^{-1} = P\, L\, U, \qquad
              \log\left|\det\right|_\text{to base} = \log|\det W| = \sum_i \log |U_{ii}|

    A unit cube becomes a parallelepiped of volume abs det A. The matrix is kept as the factors of its inverse: a
    permutation P, a lower triangle L with ones on its diagonal, and an upper triangle U whose diagonal is a fixed
    sign times a trained size. So `to_base` is two products, `to_data` two triangular solves, the determinant a sum,
    and whatever training does to a number, the matrix stays invertible.

    Both triangles stand in one square: below the diagonal L, above it U, on it the logarithms of U's sizes.

    Shapes: ``matrix, triangles`` (dim, dim), ``permutation, signs`` (dim,) int32. Raises `ArgumentError` for a matrix
    that is not square, not finite, singular to the precision it is kept in, or traced (it is factored on the host, in
    float64).

    Source: Kingma & Dhariwal 2018, "Glow: generative flow with invertible 1x1 convolutions", eq. 10 and 11.

    >>> x, log_det = Linear([[2.0, 1.0], [0.0, 3.0]]).to_data(jnp.array([1.0, 1.0]))
    >>> x.round(4).tolist(), round(float(log_det), 4)  # log 6
    ([3.0, 3.0], 1.7918)
    """

    triangles: Array
    permutation: Array
    signs: Array
    dim: int = eqx.field(static=True)
    context_dim: int = eqx.field(static=True)

    def __init__(self, matrix: ArrayLike) -> None:
        factors = _factors(*_checked(matrix))
        self.triangles = jnp.asarray(factors.triangles)
        self.permutation = jnp.asarray(factors.permutation, jnp.int32)
        self.signs = jnp.asarray(factors.signs, jnp.int32)
        self.dim, self.context_dim = len(factors.signs), 0

    @classmethod
    def mixing(cls, key: Array, dim: int, dtype: DTypeLike | None = None) -> Self:
        """A random permutation that training can turn into any mixture of the columns.

        The mixer between the layers of a neural spline flow (Durkan et al. 2019, section 3.2). The key may be
        traced: layers can be made under `jax.vmap`.

        >>> int(jnp.sum(Linear.mixing(jax.random.key(0), dim=5).inverse_matrix()))
        5
        """
        if not rows.is_traced(key):
            rows.check_key(key)
        check_count("dim", dim, 1)
        identity = cls(np.eye(dim, dtype=float_dtype(dtype)))
        order = jax.random.permutation(key, jnp.arange(dim, dtype=jnp.int32))
        return eqx.tree_at(lambda linear: linear.permutation, identity, order)

    @property
    def _lower(self) -> Array:
        return jnp.tril(self.triangles, -1) + jnp.eye(self.dim, dtype=self.triangles.dtype)

    @property
    def _upper(self) -> Array:
        return jnp.triu(self.triangles, 1) + jnp.diag(self.signs * jnp.exp(jnp.diagonal(self.triangles)))

    def inverse_matrix(self) -> Array:
        """W (dim, dim), with z = W x."""
        return _product(self._lower, self._upper)[self.permutation]

    def _log_det(self) -> Array:
        """Log abs det W."""
        return jnp.sum(jnp.diagonal(self.triangles))

    def to_base(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return _product(self._lower, _product(self._upper, x))[self.permutation], self._log_det()

    def to_data(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self._solve(z[jnp.argsort(self.permutation)]), -self._log_det()

    def to_base_columns(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.to_base(x)[0], jnp.broadcast_to(self._log_det(), x.shape[1:])

    def to_data_columns(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        return self.to_data(z)[0], jnp.broadcast_to(-self._log_det(), z.shape[1:])

    def _solve(self, right: Array) -> Array:
        """U^-1 L^-1 times one column (dim,), or many (dim, n)."""
        return solve_triangular(self._upper, solve_triangular(self._lower, right, lower=True, unit_diagonal=True))

    def dependence(self) -> np.ndarray:
        return np.ones((self.dim, self.dim), dtype=bool)

    @classmethod
    def examples(cls, key: Array) -> dict[str, Self]:
        return {
            "one column, turned round": cls([[-3.0]]),
            "needs row exchanges": cls([[0.0, 2.0], [-0.5, 1.0]]),
            "badly scaled": cls([[1e-3, 2.0, 0.0], [0.0, 5.0, 1e3], [2e-3, 0.0, -4e2]]),
            "a mixer": cls.mixing(key, 5),
        }


def _product(a: Array, b: Array) -> Array:
    """A product to the full precision of its type, also where a GPU would round it: the solves are exact too."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


class _Factors(NamedTuple):
    triangles: NDArray[Any]
    permutation: NDArray[np.integer]
    signs: NDArray[np.integer]


def _checked(matrix: ArrayLike) -> tuple[NDArray[np.float64], np.dtype[Any]]:
    """The matrix in float64, and the floating type to keep it in."""
    if isinstance(matrix, jax.core.Tracer):
        raise ArgumentError(
            "Linear factors its matrix on the host, and this one is traced: build it outside jit, grad and vmap, "
            "or start from Linear.mixing"
        )
    try:
        given = np.asarray(matrix)
    except ValueError:
        raise ArgumentError("the matrix must be square, got rows of different lengths") from None
    if given.dtype.kind not in "biuf" and not jnp.issubdtype(given.dtype, jnp.floating):
        raise ArgumentError(f"the matrix must hold real numbers, got the type {given.dtype}")
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.size == 0:
        raise ArgumentError(f"the matrix must be square, got the shape {given.shape}")
    exact = given.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ArgumentError(f"the matrix must be finite, got {exact[~np.isfinite(exact)][0]}")
    kept = jnp.asarray(given[:0]).dtype
    return exact, np.dtype(kept) if kept in (np.float32, np.float64) else float_dtype(None)


def _factors(matrix: NDArray[np.float64], dtype: np.dtype[Any]) -> _Factors:
    """The factors of the matrix's inverse; `ArgumentError` where it has none in `dtype`."""
    from scipy.linalg import lu

    condition, inverse = _condition(matrix)
    if not condition < 1 / np.finfo(dtype).eps:
        raise ArgumentError(
            f"the matrix is singular to {dtype}: its condition is {condition:.3g}, however rows and columns are scaled"
        )
    permutation, lower, upper = lu(inverse, p_indices=True)
    diagonal = np.diagonal(upper)
    with np.errstate(over="ignore", under="ignore"):
        sizes, others = np.abs(diagonal).astype(dtype), np.stack([matrix, inverse, upper]).astype(dtype)
    if not (np.isfinite(others).all() and (sizes >= np.finfo(dtype).tiny).all()):
        raise ArgumentError(f"the matrix or its inverse is beyond the range of {dtype}: scale it nearer to 1")
    triangles = np.tril(lower, -1) + np.triu(upper, 1) + np.diag(np.log(np.abs(diagonal)))
    return _Factors(triangles.astype(dtype), permutation, np.sign(diagonal).astype(np.int32))


def _condition(matrix: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The least condition that any scaling of rows and columns leaves (Bauer 1963), and the inverse.

    It is the spectral radius of abs(A^-1) abs(A): a diagonal matrix has 1, whatever its numbers.
    """
    with np.errstate(all="ignore"):
        try:
            inverse = np.asarray(np.linalg.inv(matrix), np.float64)
        except np.linalg.LinAlgError:
            return np.inf, matrix
        sizes = np.abs(inverse) @ np.abs(matrix)
        if not np.isfinite(sizes).all():
            return np.inf, matrix
        return float(np.max(np.abs(np.linalg.eigvals(sizes)))), inverse
