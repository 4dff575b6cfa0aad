"""What scikit-learn wants remembered of the columns fitted on."""

from typing import Any

import numpy as np

from densiflow.table.frames import Schema


def remember_features(estimator: Any, schema: Schema) -> None:
    """Set ``n_features_in_``, and ``feature_names_in_`` where columns have names."""
    estimator.n_features_in_ = len(schema.dtypes)
    if schema.names is not None:
        estimator.feature_names_in_ = np.array(schema.names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
