"""What every oracle does with its cases: run the original, copy it, compare, store."""

from pathlib import Path

import golden
import jax
import numpy as np

ROWS = 100
CONTEXT_DIM = 2
GOLDEN = Path(__file__).parent / "golden"


class Rows:
    """The rows, base draws and contexts of one width, shared by the cases."""

    def __init__(self, dim):
        numbers = np.random.default_rng(dim)
        self.x, self.z = (numbers.normal(size=(ROWS, dim)).astype(np.float32) for _ in range(2))
        self.context = numbers.normal(size=(ROWS, CONTEXT_DIM)).astype(np.float32)


def record(peer, versions, cases, read, copy):
    """Store each case's description with what the original says of the rows; print how far the copies are off.

    A case is ``(name, live object, dim, is it conditional, log_prob(x, context), to_data(z, context))``; the functions
    take and return numpy arrays.
    """
    jax.config.update("jax_enable_x64", True)
    dims, stored, worst = {}, {}, {"float32": np.zeros(2), "float64": np.zeros(2)}
    for name, live, dim, is_conditional, log_prob, to_data in cases:
        rows = dims.setdefault(dim, Rows(dim))
        description = read(live)
        dtype = description["dtype"]
        x, z, context = (array.astype(dtype) for array in (rows.x, rows.z, rows.context))
        context = context if is_conditional else None
        theirs = np.asarray(log_prob(x, context)), np.asarray(to_data(z, context))
        flow = copy(live)
        ours = np.asarray(flow.log_prob(x, context)), np.asarray(flow.to_data(z, context)[0])
        off = np.array([np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)])
        span = np.ptp(theirs[0]), np.abs(theirs[1]).max()
        print(f"{peer:8} {name:60} {dtype} log_prob {off[0]:.1e} samples {off[1]:.1e}"
              f"   (log_prob spans {span[0]:.0f}, samples reach {span[1]:.0f})", flush=True)  # fmt: skip
        assert np.all(off < 1e-4), name
        worst[dtype] = np.maximum(worst[dtype], off)
        stored[name] = {"description": description, "dim": dim, "conditional": is_conditional,
                        "log_prob": theirs[0].astype(dtype), "samples": theirs[1]}  # fmt: skip
    for dtype, off in worst.items():
        print(f"{peer:8} the largest differences, {dtype}: log_prob {off[0]:.1e}, samples {off[1]:.1e}")
    print(f"{peer:8} {len(stored)} cases")
    shared = {str(dim): {"x": rows.x, "z": rows.z, "context": rows.context} for dim, rows in dims.items()}
    GOLDEN.mkdir(exist_ok=True)
    golden.save(GOLDEN / f"{peer}.npz", {"versions": versions, "rows": shared, "cases": stored})
    print(f"{peer:8} {(GOLDEN / f'{peer}.npz').stat().st_size / 1024:.0f} KB")
