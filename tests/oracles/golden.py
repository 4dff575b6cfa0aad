"""Nested dictionaries of arrays and plain values in one small npz file.

An npz entry costs some hundred bytes; thousands of small arrays go into one flat pool per type instead.
"""

import json

import numpy as np


def save(path, tree):
    """Write the tree."""
    pools = {}

    def packed(node):
        if isinstance(node, dict):
            return {name: packed(child) for name, child in node.items()}
        if isinstance(node, list | tuple):
            return [packed(child) for child in node]
        if isinstance(node, np.ndarray | np.generic):
            array = np.asarray(node)
            pool = pools.setdefault(array.dtype.name, [])
            start = sum(piece.size for piece in pool)
            pool.append(array.ravel())
            return {"array": [array.dtype.name, start, list(array.shape)]}
        return node

    text = json.dumps(packed(tree), allow_nan=False, sort_keys=True)
    arrays = {name: np.concatenate(pool) for name, pool in pools.items()}
    np.savez_compressed(path, tree=np.frombuffer(text.encode(), np.uint8), **arrays)


def load(path):
    """Read the tree back."""
    with np.load(path) as pools:
        pools = dict(pools)

    def unpacked(node):
        if isinstance(node, list):
            return [unpacked(child) for child in node]
        if not isinstance(node, dict):
            return node
        if set(node) == {"array"}:
            kind, start, shape = node["array"]
            return pools[kind][start : start + int(np.prod(shape))].reshape(shape)
        return {name: unpacked(child) for name, child in node.items()}

    return unpacked(json.loads(pools["tree"].tobytes()))
